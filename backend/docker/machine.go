package docker

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"time"

	"github.com/moby/moby/client"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/ssh/jobs"
)

// MachineOptions are the options of NewMachine.
type MachineOptions struct {
	// Host is the engine's address, as in Options. The engine may be on another
	// machine.
	Host string
	// Container is the name or ID of a container that has /bin/sh. It is required.
	// What it runs reaps processes, as the engine's init does.
	Container string
	// User is whom jobs run as, numbers or names of the image; the container's own
	// user when empty.
	User string
	// Dir is the folder in the container for programs and jobs, which its user can
	// make; "/var/lib/azml" when empty. Jobs are known as long as it is there.
	Dir string
	// Program gives the path, on this machine, of an azml program that runs on such
	// a platform, which is installed in the container. It is required.
	Program func(ctx context.Context, on backend.Platform) (path string, err error)
	// Patience is for how long calls go on trying when the container or its engine
	// has gone away meanwhile; a minute when zero.
	Patience time.Duration
}

// Machine is a container that runs already as a machine of its own: jobs are
// processes in it, as those of backend/ssh are on a machine, and share what it
// has. It implements backend.Compute and backend.Remote, is safe for concurrent
// use, and any number of them in any number of processes can work with one
// container. A container that was stopped and started again knows its jobs, which
// have ended; one that is not there is ErrNotFound, one that does not run
// ErrUnavailable.
type Machine struct {
	*jobs.Driver
	reach *reach
}

var _ backend.OpenedCompute = (*Machine)(nil)

// NewMachine gives a driver for the container, to which it connects when it is
// first used. Close it. Errors: ErrInvalid.
func NewMachine(opts MachineOptions) (*Machine, error) {
	if opts.Container == "" || opts.Program == nil {
		return nil, fmt.Errorf("%w: a machine needs a container and a program to install", azml.ErrInvalid)
	}
	opts.Dir, opts.Patience = cmp.Or(opts.Dir, "/var/lib/azml"), cmp.Or(opts.Patience, time.Minute)
	if !path.IsAbs(opts.Dir) {
		return nil, fmt.Errorf("%w: folder %q of container %s: want an absolute path", azml.ErrInvalid, opts.Dir, opts.Container)
	}
	engine, err := connect(opts.Host)
	if err != nil {
		return nil, err
	}
	r := &reach{opts: opts, client: engine}
	return &Machine{jobs.NewDriver(jobs.Machine{Name: "container " + opts.Container, Connect: r.connect, Patience: opts.Patience}), r}, nil
}

// Close ends the connection, listeners and what waits. Jobs go on.
func (m *Machine) Close() error { return errors.Join(m.Driver.Close(), m.reach.client.Close()) }

// reach makes connections to a container, one at a time.
type reach struct {
	opts   MachineOptions
	client *client.Client
	// platform, program and digest are found by the first one.
	platform        backend.Platform
	program, digest string
}

const (
	// missing is the exit code that says that the program is not there.
	missing     = 90
	serveScript = `[ -x "$1/bin/$2" ] || exit 90; exec "$1/bin/$2" jobs serve "$1"`

	// What arrives is a program only when all of it is there, by its own word.
	uploadScript = `umask 077; T=$1/bin/$5; mkdir -p "$1/bin" && cat >"$T" && [ $(wc -c <"$T") -eq $4 ] && chmod 700 "$T" && ` +
		`"$T" jobs verify $3 && mv "$T" "$1/bin/$2" || { E=$?; rm -f "$T"; exit $E; }`
)

// connect starts the program in the container, where it puts it when it is not there.
func (r *reach) connect(ctx context.Context) (jobs.Connection, error) {
	if err := r.find(ctx); err != nil {
		return nil, err
	}
	c, err := r.serve(ctx)
	if errors.Is(err, errNoProgram) {
		if err = r.upload(ctx); err == nil {
			c, err = r.serve(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// find finds the program for the platform, once.
func (r *reach) find(ctx context.Context) error {
	if r.digest != "" {
		return nil
	}
	v, err := r.client.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return classify(ctx, err)
	}
	r.platform = backend.Platform{OS: v.Os, Arch: v.Arch}
	if r.program, err = r.opts.Program(ctx, r.platform); err != nil {
		return fmt.Errorf("the azml program for container %s (%s/%s): %w", r.opts.Container, v.Os, v.Arch, err)
	}
	f, err := os.Open(r.program)
	if err != nil {
		return fmt.Errorf("%w: the azml program: %w", azml.ErrInvalid, err)
	}
	defer f.Close()
	r.digest, err = jobs.Digest(f)
	return err
}

func (r *reach) name() string { return jobs.ProgramPrefix + r.digest }

// errNoProgram says that the container lacks the program.
var errNoProgram = fmt.Errorf("%w: the azml program", azml.ErrNotFound)

// serve starts the program that is there.
func (r *reach) serve(ctx context.Context) (*machineConnection, error) {
	e, err := r.exec(ctx, serveScript, r.opts.Dir, r.name())
	if err != nil {
		return nil, err
	}
	asked, err := jobs.Connect(ctx, e.out, e, e)
	if err == nil {
		return &machineConnection{client: asked, platform: r.platform, exec: e}, nil
	}
	defer e.Close()
	if code, ended := e.exitCode(ctx); errors.Is(err, jobs.ErrLost) && ended {
		err = r.failed(code, e)
		if code == missing {
			err = errNoProgram
		}
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return nil, err
}

// failed says how a command in the container did not do its work.
func (r *reach) failed(code int, e *execution) error {
	class := azml.ErrUnavailable
	// By the shell: it can't be run, it is not there. The engine takes the same codes
	// when the container stops just now, and says nothing on standard error.
	if (code == 126 || code == 127) && e.said.Len() > 0 {
		class = azml.ErrUnsupported
	}
	return fmt.Errorf("%w: in container %s: exit code %d: %.400q", class, r.opts.Container, code, e.said.String())
}

// upload puts the program into the container.
func (r *reach) upload(ctx context.Context) error {
	f, err := os.Open(r.program)
	if err != nil {
		return fmt.Errorf("%w: the azml program: %w", azml.ErrInvalid, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("%w: the azml program: %w", azml.ErrInvalid, err)
	}
	e, err := r.exec(ctx, uploadScript, r.opts.Dir, r.name(), r.digest, strconv.FormatInt(info.Size(), 10), jobs.ScratchPrefix+rand.Text())
	if err != nil {
		return err
	}
	defer e.Close()
	defer context.AfterFunc(ctx, e.end)()
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(e, f)
		sent <- errors.Join(err, e.in.CloseWrite())
	}()
	_, _ = io.Copy(io.Discard, e.out)
	code, ended := e.exitCode(ctx) // counts more than whether all was sent
	e.end()
	cause := <-sent
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case ended && code == 0:
		return nil
	case ended:
		return fmt.Errorf("install the azml program: %w", r.failed(code, e))
	}
	return fmt.Errorf("%w: install the azml program in container %s: %w", azml.ErrUnavailable, r.opts.Container, cmp.Or(cause, io.ErrUnexpectedEOF))
}

// machineConnection is one program that serves jobs in the container.
type machineConnection struct {
	client   *jobs.Client
	platform backend.Platform
	exec     *execution
}

// Client implements jobs.Connection.
func (c *machineConnection) Client() *jobs.Client { return c.client }

// Platform implements jobs.Connection.
func (c *machineConnection) Platform() backend.Platform { return c.platform }

// Alive implements jobs.Connection.
func (c *machineConnection) Alive() bool { return c.client.Err() == nil }

// Close implements jobs.Connection.
func (c *machineConnection) Close() {
	_ = c.client.Close()
	_ = c.exec.Close()
}
