package instance

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/azml-go/azml"
)

// Serve does what the setup that it reads says, until ctx ends or nobody has used
// the instance for its time. program is azml itself. What its programs say goes to
// log. Errors: ErrInvalid, ErrNotFound without Jupyter, ErrFailed when a program ended.
func Serve(ctx context.Context, program string, in io.Reader, log io.Writer) error {
	s, err := readSetup(in)
	if err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(s.State, statusFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	idle, err := s.serve(ctx, program, log)
	if ctx.Err() != nil {
		return nil
	}
	ended := Status{Idle: idle}
	if err != nil {
		ended.Reason = err.Error()
	}
	return errors.Join(err, ended.write(s.State))
}

func (s Setup) serve(ctx context.Context, program string, log io.Writer) (idle bool, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	p := &programs{ctx: ctx, stop: stop, log: log}
	defer p.running.Wait()
	defer stop(nil)
	env := append(os.Environ(), "HOME="+s.Home)
	if s.Workspace != "" {
		variables, err := s.server(p, program)
		if err != nil {
			return false, err
		}
		env = append(env, variables...)
	}
	j, err := s.jupyter(ctx, env)
	if err == nil {
		err = p.start("Jupyter", j.cmd)
	}
	if err == nil {
		err = j.answers(ctx)
	}
	if err == nil {
		err = Status{Port: j.port}.write(s.State)
	}
	if err != nil {
		return false, err
	}
	if j.unused(ctx, s) {
		return true, nil
	}
	return false, context.Cause(ctx)
}

// programs are what an instance has started. When one ends, the instance does.
type programs struct {
	ctx     context.Context // of all
	stop    context.CancelCauseFunc
	running sync.WaitGroup
	log     io.Writer
}

// patience is how long a program has to end.
const patience = 5 * time.Second

func (p *programs) start(name string, cmd *exec.Cmd) error {
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay, cmd.Stderr = patience, p.log
	if cmd.Stdout == nil {
		cmd.Stdout = p.log
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%w: %w", azml.ErrFailed, err)
	}
	p.running.Go(func() {
		err := cmd.Wait()
		p.stop(fmt.Errorf("%w: %s ended (%v)", azml.ErrFailed, name, err)) //nolint:errorlint // an exit code, or nil
	})
	return nil
}

// said gives what is written first.
type said struct {
	first chan []byte
	once  sync.Once
}

// Write implements io.Writer.
func (w *said) Write(p []byte) (int, error) {
	w.once.Do(func() { w.first <- bytes.Clone(p) })
	return len(p), nil
}

// server starts the server of the workspace, and gives the variables by which
// MLflow's clients find it. Its token is drawn here, and known to them alone.
func (s Setup) server(p *programs, program string) (variables []string, err error) {
	token := rand.Text() + rand.Text()
	cmd := exec.CommandContext(p.ctx, program, "server", "-w", s.Workspace, "--listen", "127.0.0.1:0", "--token-file", "/dev/stdin", "-o", "json")
	out := &said{first: make(chan []byte, 1)}
	cmd.Stdin, cmd.Stdout = strings.NewReader(token), out
	if err := p.start("the server of the workspace", cmd); err != nil {
		return nil, err
	}
	var served struct {
		URL string `json:"url"`
	}
	select {
	case text := <-out.first:
		err = json.Unmarshal(text, &served)
	case <-p.ctx.Done():
		err = context.Cause(p.ctx)
	}
	return append(trackingVariables(served.URL, token), "AZML_WORKSPACE="+s.Workspace), err
}

// trackingVariables are those by which MLflow's clients find the server. What
// clients prefer to a token is there, too: a password of another server, in the
// environment or in ~/.mlflow/credentials, would be sent in its place.
func trackingVariables(url, token string) []string {
	return []string{"MLFLOW_TRACKING_URI=" + url, "MLFLOW_TRACKING_TOKEN=" + token, "MLFLOW_TRACKING_USERNAME=azml", "MLFLOW_TRACKING_PASSWORD=" + token}
}

// jupyter prepares Jupyter: its laboratory where that is installed, else its server.
func (s Setup) jupyter(ctx context.Context, env []string) (*jupyter, error) {
	program, err := exec.LookPath("jupyter-lab")
	if err != nil {
		program, err = exec.LookPath("jupyter-server")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the image has neither jupyter-lab nor jupyter-server: %w", azml.ErrNotFound, err)
	}
	port := s.Port
	if port == 0 {
		if port, err = freePort(ctx, s.Address); err != nil {
			return nil, err
		}
	}
	j := &jupyter{port: port, token: s.Token, base: "http://" + net.JoinHostPort(s.reachable(), strconv.Itoa(port))}
	j.cmd = exec.CommandContext(ctx, program, "--no-browser", "--allow-root", "--ServerApp.ip="+s.Address, "--ServerApp.port="+strconv.Itoa(port),
		"--ServerApp.port_retries=0", "--ServerApp.root_dir="+s.Home)
	j.cmd.Dir = s.Home
	j.cmd.Env = append(env, "JUPYTER_TOKEN="+s.Token)
	return j, nil
}

// reachable is the address by which the instance itself reaches Jupyter.
func (s Setup) reachable() string {
	if ip := net.ParseIP(s.Address); ip != nil && ip.IsUnspecified() {
		return "127.0.0.1"
	}
	return s.Address
}

func freePort(ctx context.Context, address string) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
