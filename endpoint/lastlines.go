package endpoint

import (
	"strings"
	"sync"
)

// keepLines is how many lines the error of a sample request shows.
const keepLines = 20

// lastLines keeps the last lines of a log whose lines are written in the form of
// scoring's, and gives them to errors. It is safe for concurrent use.
type lastLines struct {
	mu    sync.Mutex
	lines []string
}

// Write implements io.Writer.
func (l *lastLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(string(p)) {
		line = strings.TrimRight(line, "\r\n")
		if _, text, formed := strings.Cut(line, "] azml"); formed { // else it is a further one of several
			_, line, _ = strings.Cut(text, " - ")
		}
		l.lines = append(l.lines, line)
	}
	l.lines = l.lines[max(0, len(l.lines)-keepLines):]
	return len(p), nil
}

// forget has the lines left out that were written so far.
func (l *lastLines) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = nil
}

// String gives the lines as errors show them, each in one of its own.
func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, line := range l.lines {
		b.WriteString("\n  | " + line)
	}
	return b.String()
}
