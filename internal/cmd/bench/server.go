package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/azml-go/azml/internal/testenv"
	"github.com/shirou/gopsutil/v4/process"
)

// server is a process that serves HTTP.
type server struct {
	name    string
	target  target
	request func() []byte // gives the next request of a load; many call it at once
	cmd     *exec.Cmd
	stdin   io.Closer
	log     bytes.Buffer // what it said, to be read when it has ended
	started float64      // seconds until it answered
}

// startChild starts a server of this program's own, with further arguments behind its
// folder.
func (b *bench) startChild(ctx context.Context, name, kind string, more ...string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{childFlag, kind}
	if kind != childBare {
		dir, err := b.sub(kind)
		if err != nil {
			return nil, err
		}
		args = append(append(args, dir), more...)
	}
	s := &server{name: name, cmd: exec.CommandContext(ctx, self, args...)}
	if b.profile != "" {
		s.cmd.Env = append(os.Environ(), childProfile+"="+b.profile+"."+kind)
	}
	begun := time.Now()
	out, err := s.start()
	if err != nil {
		return nil, err
	}
	if err := json.NewDecoder(out).Decode(&s.target); err != nil {
		return nil, errors.Join(fmt.Errorf("%s did not start: %w", name, err), s.stop())
	}
	s.started = time.Since(begun).Seconds()
	return s, nil
}

func (s *server) start() (io.Reader, error) {
	s.cmd.Stderr = &s.log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return out, s.cmd.Start()
}

// stop ends a server of our own by closing its standard input.
func (s *server) stop() error {
	err := errors.Join(s.stdin.Close(), s.cmd.Wait())
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", s.name, err, s.log.String())
	}
	return err
}

// end ends a server, whichever it is.
func (s *server) end() error {
	if s.stdin != nil {
		return s.stop()
	}
	s.interrupt()
	return nil
}

// startInferenceServer starts the real azureml-inference-server-http with the
// no-op script.
func (b *bench) startInferenceServer(ctx context.Context) (*server, error) {
	python, err := b.inferenceServerPython(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := b.sub("real")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "score.py"), []byte(noopScript), 0o600); err != nil {
		return nil, err
	}
	return startServer(ctx, "azureml-inference-server-http", "/", func(port string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, python, "-m", "azureml_inference_server_http", "--entry_script", "score.py", "--port", port)
		cmd.Dir = dir
		return cmd
	})
}

// startServer starts a server that is a program of its own, on a free port, and
// waits until it answers requests of the path.
func startServer(ctx context.Context, name, path string, with func(port string) *exec.Cmd) (*server, error) {
	free, release, err := testenv.ReservePort()
	if err != nil {
		return nil, err
	}
	defer release() // that nobody else is given it matters until the server listens
	port := strconv.Itoa(free)
	cmd := with(port)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	s := &server{name: name, cmd: cmd, target: target{Address: "127.0.0.1:" + port}}
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if err := awaitHealthy(ctx, s.target.Address+path); err != nil {
		s.interrupt()
		return nil, fmt.Errorf("%w: %s", err, s.log.String())
	}
	s.started = time.Since(begun).Seconds()
	return s, nil
}

// interruptTime is how long a server has to end.
const interruptTime = 10 * time.Second

// interrupt ends a server of startServer, as from the terminal, and the
// processes that it leaves behind.
func (s *server) interrupt() {
	var below []*process.Process
	if p, err := process.NewProcess(int32(s.cmd.Process.Pid)); err == nil {
		below = descendants(p)
	}
	_ = s.cmd.Cancel()
	late := time.AfterFunc(interruptTime, func() { _ = s.cmd.Process.Kill() })
	defer late.Stop()
	_, _ = s.cmd.Process.Wait() // the exit code of an interrupted program says nothing
	for _, p := range below {
		if running, err := p.IsRunning(); err == nil && running { // else its ID may be another's
			_ = p.Kill()
		}
	}
	_ = s.cmd.Wait() // for what they said
}

// descendants gives the processes below one.
func descendants(p *process.Process) []*process.Process {
	children, err := p.Children()
	if err != nil {
		return nil // it has none
	}
	all := children
	for _, c := range children {
		all = append(all, descendants(c)...)
	}
	return all
}

// healthyTime is enough for a server to start on a busy machine.
const healthyTime = 3 * time.Minute

func awaitHealthy(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, healthyTime)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+url, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s did not become healthy: %w", url, ctx.Err())
		}
	}
}

// cpu gives the CPU seconds of the server and its children, in ticks of the
// system (10 ms on Linux).
func (s *server) cpu(ctx context.Context) (float64, error) {
	p, err := process.NewProcessWithContext(ctx, int32(s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	return treeCPU(ctx, p)
}

func treeCPU(ctx context.Context, p *process.Process) (float64, error) {
	times, err := p.TimesWithContext(ctx)
	if err != nil {
		return 0, err
	}
	total := times.User + times.System
	for _, c := range descendants(p) {
		if below, err := c.TimesWithContext(ctx); err == nil { // else it has ended
			total += below.User + below.System
		}
	}
	return total, nil
}
