// Package tail keeps the end of an output, for errors that show it.
package tail

import (
	"strings"
	"sync"
)

// What is kept: so many lines, and so many bytes.
const (
	maxLines = 20
	maxBytes = 8 << 10
)

// Tail keeps the last of what is written to it. The zero value is empty. It is safe for
// concurrent use.
type Tail struct {
	mu   sync.Mutex
	data []byte
}

// Write implements io.Writer and never fails.
func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if extra := len(t.data) - maxBytes; extra > 0 {
		t.data = append(t.data[:0], t.data[extra:]...)
	}
	return len(p), nil
}

// Clear forgets all.
func (t *Tail) Clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = nil
}

// Lines gives the last lines, 20 and 8 KiB at most; nil when nothing was written.
func (t *Tail) Lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimRight(strings.ToValidUTF8(string(t.data), "�"), "\n")
	if text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	return lines[max(0, len(lines)-maxLines):]
}
