package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/azml-go/azml/internal/testenv"
)

// grace is how long a command may go on after an interrupt before it is ended
// by force.
const grace = 20 * time.Second

// checker runs the steps.
type checker struct {
	settings
	root     string
	out      io.Writer
	prepared testenv.Prepared
	results  []result
}

// result is how a step went.
type result struct {
	name  string
	err   error
	took  time.Duration
	tests counts // of the Go tests, for the step that runs them
}

// job is one step as it runs.
type job struct {
	check  *checker
	module string    // the folder of the module that it is about, below the root; "" for that
	log    io.Writer // keeps the step's whole output
	tests  counts
}

// all runs the wanted steps and gives the exit code.
func (c *checker) all(ctx context.Context) int {
	for _, s := range steps {
		if c.wants(s) {
			c.results = append(c.results, c.one(ctx, s))
		}
	}
	return c.report()
}

// wants tells whether a step is to run. The abilities always are: other steps
// build on them.
func (c *checker) wants(s step) bool {
	if s.name == steps[0].name {
		return true
	}
	if c.only != nil {
		return slices.Contains(c.only, s.name)
	}
	return s.short || !c.short
}

// one runs a step and prints how it went, with its output when it failed.
func (c *checker) one(ctx context.Context, s step) result {
	if ctx.Err() != nil {
		return result{name: s.name, err: errors.New("interrupted")}
	}
	fmt.Fprintf(c.out, "==> %s\n", s.name)
	begun := time.Now()
	tail := &bytes.Buffer{}
	file, err := c.logFile(s.name)
	j := &job{check: c, log: &shared{w: io.MultiWriter(file, tail)}}
	if err == nil {
		err = errors.Join(s.run(ctx, j), file.Close())
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	r := result{s.name, err, time.Since(begun), j.tests}
	if r.verdict() == failed {
		fmt.Fprintf(c.out, "%s\n", j.tests.relevant(tail.String()))
	}
	fmt.Fprintln(c.out, r.line())
	return r
}

// logFile creates the file that keeps a step's output.
func (c *checker) logFile(name string) (*os.File, error) {
	dir := filepath.Join(c.root, ".ci", "out")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return os.Create(filepath.Join(dir, name+".txt"))
}

// progress shows a line at once, and keeps it.
func (j *job) progress(line string) {
	fmt.Fprintln(j.check.out, "   ", line)
	fmt.Fprintln(j.log, line)
}

// exec runs a command in the root of the module, its output kept.
func (j *job) exec(ctx context.Context, env []string, name string, args ...string) error {
	cmd := j.command(ctx, name, args...)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdout, cmd.Stderr = j.log, j.log
	if err := cmd.Start(); err != nil {
		return err
	}
	return wait(ctx, cmd)
}

// wait waits for a started command, and when it was interrupted sees to it
// that nothing of it is left.
func wait(ctx context.Context, cmd *exec.Cmd) error {
	err := cmd.Wait()
	if ctx.Err() != nil {
		endGroup(cmd)
	}
	return err
}

// output runs a command and gives its standard output.
func (j *job) output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := j.command(ctx, name, args...)
	cmd.Stderr = j.log
	out, err := cmd.Output()
	return string(out), err
}

func (j *job) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	fmt.Fprintln(j.log, "$", name, strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = filepath.Join(j.check.root, j.module)
	cmd.Env = append(os.Environ(), j.check.prepared.Env...)
	cmd.Env = append(cmd.Env, testenv.MustRunVariable+"="+strings.Join(j.check.must, ","))
	group(cmd)
	cmd.WaitDelay = grace
	return cmd
}

// moduleRoot finds the folder of the module that this runs in.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	file := strings.TrimSpace(string(out))
	if err != nil || file == "" || file == os.DevNull {
		return "", errors.Join(errors.New("run it within the repository, with go in the PATH"), err)
	}
	return filepath.Dir(file), nil
}

// shared is a writer for several goroutines.
type shared struct {
	mu sync.Mutex
	w  io.Writer
}

// Write writes all of p before any other's.
func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}
