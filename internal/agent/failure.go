package agent

import (
	"strings"
	"sync"

	"github.com/azml-go/azml/internal/record"
)

// The codes of a run's error.
const (
	userError   = "UserError"
	systemError = "SystemError"
)

// failure is an error with what goes into the run's record.
type failure struct {
	record.RunError
	cause error
}

// Error implements error.
func (f *failure) Error() string { return f.Message }

// Unwrap gives the cause.
func (f *failure) Unwrap() error { return f.cause }

// systemError makes a failure of what is not the script's fault.
func (d *drive) systemError(err error) *failure {
	return &failure{record.RunError{Code: systemError, Message: err.Error(), Phase: string(d.status)}, err}
}

// tail keeps the last lines of what is written to it. It is safe for
// concurrent use.
type tail struct {
	mu   sync.Mutex
	data []byte
}

const (
	tailBytes = 8 << 10
	tailLines = 20
)

// Write implements io.Writer and never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if extra := len(t.data) - tailBytes; extra > 0 {
		t.data = append(t.data[:0], t.data[extra:]...)
	}
	return len(p), nil
}

// clear forgets all.
func (t *tail) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = nil
}

// lines gives the last lines.
func (t *tail) lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimRight(strings.ToValidUTF8(string(t.data), "�"), "\n")
	if text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	return lines[max(0, len(lines)-tailLines):]
}
