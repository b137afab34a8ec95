package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/azml-go/azml/internal/terminal"
	"github.com/azml-go/azml/run"
)

// progress is one line on a terminal that is written over and over, at most
// ten times a second. When the stream is no terminal it writes nothing.
type progress struct {
	mu    sync.Mutex
	out   io.Writer // nil when nobody looks
	last  time.Time
	shown int
}

func (a *app) progress() *progress {
	if !terminal.IsTerminal(a.stderr) {
		return &progress{}
	}
	return &progress{out: a.stderr}
}

// set replaces the line, unless the last change was just now.
func (p *progress) set(format string, args ...any) { p.draw(false, fmt.Sprintf(format, args...)) }

// status shows what a run is doing until its script begins to write.
func (p *progress) status(d run.Details) {
	if d.Status == run.StatusRunning || d.Status.Terminal() {
		p.clear()
		return
	}
	text := string(d.Status)
	if d.Reason != "" {
		text += ": " + d.Reason
	}
	if d.WaitsFor != "" {
		text += ", waits for " + d.WaitsFor
	}
	p.draw(true, text+" …")
}

// clear takes the line away.
func (p *progress) clear() { p.draw(true, "") }

// bytes shows how much of a number of bytes is done.
func (p *progress) bytes(what string) func(done, total int64) {
	return func(done, total int64) { p.set("%s %s of %s", what, size(done), size(total)) }
}

func (p *progress) draw(force bool, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	const every = 100 * time.Millisecond
	if p.out == nil || !force && time.Since(p.last) < every {
		return
	}
	p.last = time.Now()
	text = terminal.Style{Unicode: true}.Fit(text, widthOf(p.out)-1)
	n := terminal.Width(text)
	fmt.Fprintf(p.out, "\r%s%s\r%s", text, strings.Repeat(" ", max(0, p.shown-n)), text)
	p.shown = n
}
