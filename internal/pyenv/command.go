package pyenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

const (
	lastLines    = 20       // kept for an error
	maxLineBytes = 64 << 10 // a longer line is cut into several
	killDelay    = 5 * time.Second
)

// command is one tool to run.
type command struct {
	phase string
	args  []string
	env   map[string]string
	dir   string
	input io.Reader // nil for none
}

// run runs the tool in a process group of its own, which is killed as a whole
// when ctx ends, and writes its output line by line, masked, to log.
func (c command) run(ctx context.Context, log io.Writer, m *masker) error {
	lines := &lineWriter{to: log, mask: m}
	cmd := c.prepare(ctx)
	cmd.Stdout, cmd.Stderr = lines, lines
	err := cmd.Run()
	lines.flush()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s was stopped: %w", c.phase, context.Cause(ctx))
	}
	return newBuildError(c.phase, err, lines.last)
}

// output runs the tool and gives its standard output.
func (c command) output(ctx context.Context) ([]byte, error) {
	cmd := c.prepare(ctx)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%s was stopped: %w", c.phase, context.Cause(ctx))
	}
	if err != nil {
		if text := lastLine(stderr.String()); text != "" {
			err = fmt.Errorf("%w: %s", err, text)
		}
		return nil, err
	}
	return stdout.Bytes(), nil
}

func (c command) prepare(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Env = environList(c.env)
	cmd.Dir, cmd.Stdin = c.dir, c.input
	// A child that left the group may hold the output open.
	cmd.WaitDelay = killDelay
	ownGroup(cmd)
	return cmd
}

// exitCode gives the exit code in err, -1 when the tool did not exit by itself.
func exitCode(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return -1
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndex(text, "\n")+1:]
}

// lineWriter hands on whole, masked lines and remembers the last ones.
// os/exec calls it from one goroutine.
type lineWriter struct {
	to   io.Writer
	mask *masker
	part []byte
	last []string
}

// Write implements io.Writer. A log that fails does not stop the build.
func (w *lineWriter) Write(p []byte) (int, error) {
	w.part = append(w.part, p...)
	for {
		at := bytes.IndexByte(w.part, '\n')
		if at < 0 && len(w.part) < maxLineBytes {
			return len(p), nil
		}
		if at < 0 {
			at = maxLineBytes - 1
		}
		w.line(string(w.part[:at+1]))
		w.part = w.part[at+1:]
	}
}

func (w *lineWriter) flush() {
	if len(w.part) > 0 {
		w.line(string(w.part))
		w.part = nil
	}
}

func (w *lineWriter) line(text string) {
	text = w.mask.mask(strings.TrimRight(text, "\r\n"))
	w.last = append(w.last, text)
	if len(w.last) > lastLines {
		w.last = w.last[1:]
	}
	fmt.Fprintln(w.to, text)
}
