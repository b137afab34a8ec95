//go:build linux || darwin

package process

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/internal/supervisor"
)

// watch is a supervisor that this driver started and must reap.
type watch struct {
	cmd     *exec.Cmd
	answers *os.File
	// answer gives once what became of the start.
	answer chan error
	// ended is closed when the supervisor is gone, or the watch was stopped.
	ended chan struct{}
}

// launch starts a supervisor, has it start the command, and watches over it.
// When the context ends meanwhile, the job is ended again. When it gives an
// error, the supervisor is gone.
func (d *Driver) launch(ctx context.Context, id, dir string, s supervisor.Spec, files jobFiles) error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return fmt.Errorf("%w: the driver of %s", azml.ErrClosed, d.dir)
	}
	w, err := startSupervisor(dir, s, files)
	if err != nil {
		d.mu.Unlock()
		return err
	}
	d.watched[id] = w
	d.watches.Go(func() { d.follow(id, w) })
	d.mu.Unlock()

	select {
	case err = <-w.answer:
	case <-ctx.Done():
		err = ctx.Err()
		_ = writeGrace(dir, 0)
		_ = w.cmd.Process.Signal(syscall.SIGTERM)
	}
	if err != nil {
		<-w.ended
	}
	return err
}

// follow reads what the supervisor says until its end, which closes the pipe.
func (d *Driver) follow(id string, w *watch) {
	r := bufio.NewReader(w.answers)
	line, _ := r.ReadString('\n')
	w.answer <- parseAnswer(line)
	if _, err := io.Copy(io.Discard, r); err == nil {
		_ = w.cmd.Wait() // the record says how the job ended
	}
	_ = w.answers.Close()
	d.mu.Lock()
	delete(d.watched, id)
	d.mu.Unlock()
	close(w.ended)
}

func startSupervisor(dir string, s supervisor.Spec, files jobFiles) (*watch, error) {
	exe, err := executable()
	if err != nil {
		return nil, fmt.Errorf("%w: where is this program: %w", azml.ErrUnsupported, err)
	}
	in, specs, err := os.Pipe()
	if err != nil {
		return nil, classify(err)
	}
	defer in.Close()
	defer specs.Close()
	answers, out, err := os.Pipe()
	if err != nil {
		return nil, classify(err)
	}
	defer out.Close()
	cmd := &exec.Cmd{
		Path: exe, Args: []string{supervisor.Name, dir}, Dir: "/", Env: loaderEnv(),
		Stdin: in, Stdout: out, ExtraFiles: []*os.File{files.record, files.output},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := cmd.Start(); err != nil {
		_ = answers.Close()
		return nil, fmt.Errorf("%w: start the supervisor: %w", azml.ErrUnavailable, err)
	}
	// A supervisor that is dead already is met again as a missing answer.
	_, _ = specs.Write(s.Encode())
	return &watch{cmd: cmd, answers: answers, answer: make(chan error, 1), ended: make(chan struct{})}, nil
}

// executable is this program, on Linux also when its file was replaced or deleted.
func executable() (string, error) {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe", nil
	}
	return os.Executable()
}

// loaderEnv gives the variables that this program's own libraries may be found
// by, and no others: the supervisor needs none of the program's secrets.
func loaderEnv() []string {
	env := []string{"GOMAXPROCS=2"}
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "LD_") || strings.HasPrefix(v, "DYLD_") {
			env = append(env, v)
		}
	}
	return env
}

// parseAnswer makes an error of the supervisor's answer.
func parseAnswer(line string) error {
	line = strings.TrimSuffix(line, "\n")
	if line == "ok" {
		return nil
	}
	n, err := strconv.Atoi(strings.TrimPrefix(line, "errno "))
	if err != nil {
		return fmt.Errorf("%w: the supervisor did not begin: this program must be able to start itself anew "+
			"(a plugin or a C library can't)", azml.ErrUnsupported)
	}
	errno := syscall.Errno(n)
	switch errno {
	case syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE, syscall.ENOSPC, syscall.EIO:
		return fmt.Errorf("%w: start the command: %w", azml.ErrUnavailable, errno)
	}
	return fmt.Errorf("%w: start the command: %w (is its interpreter there, is it made for this machine?)", azml.ErrInvalid, errno)
}
