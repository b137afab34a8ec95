package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/ssh/jobs"
)

// handshakeTime bounds connecting and logging in.
const handshakeTime = 30 * time.Second

// machine makes connections, one at a time.
type machine struct {
	config Config
	// platform and program are found by the first one.
	platform backend.Platform
	program  program
}

// connection is one connection to the machine, with the program at its end.
type connection struct {
	ssh      *ssh.Client
	jobs     *jobs.Client
	platform backend.Platform
	// ended is closed when it is gone.
	ended chan struct{}
}

// connect logs in, puts the program there when it is not, and starts it.
func (m *machine) connect(ctx context.Context) (_ jobs.Connection, err error) {
	client, err := m.logIn(ctx)
	if err != nil {
		return nil, err
	}
	c := &connection{ssh: client, ended: make(chan struct{})}
	go c.watch(m.config.KeepAlive)
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	if m.platform == (backend.Platform{}) {
		if m.platform, err = probe(ctx, client); err != nil {
			return nil, err
		}
	}
	if err := m.findProgram(ctx); err != nil {
		return nil, err
	}
	name := jobs.ProgramPrefix + m.program.digest
	c.jobs, err = serve(ctx, client, m.config.Dir, name)
	if errors.Is(err, azml.ErrNotFound) {
		if err = m.upload(ctx, client, name); err == nil {
			c.jobs, err = serve(ctx, client, m.config.Dir, name)
		}
	}
	c.platform = m.platform
	if err == nil && m.config.Containers != nil {
		err = c.jobs.Engine(ctx, *m.config.Containers)
	}
	return c, err
}

// Client implements jobs.Connection.
func (c *connection) Client() *jobs.Client { return c.jobs }

// Platform implements jobs.Connection.
func (c *connection) Platform() backend.Platform { return c.platform }

// watch asks the machine from time to time whether it is there, until the
// connection ends, which it sees to when the machine is silent.
func (c *connection) watch(every time.Duration) {
	go func() {
		_ = c.ssh.Wait() // why it ended is what calls learn
		close(c.ended)
	}()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-c.ended:
			return
		case <-tick.C:
		}
		silence := time.AfterFunc(every, func() { _ = c.ssh.Close() })
		_, _, err := c.ssh.SendRequest("keepalive@openssh.com", true, nil)
		silence.Stop()
		if err != nil {
			_ = c.ssh.Close() // what is broken needs no goodbye
		}
	}
}

// Close implements jobs.Connection.
func (c *connection) Close() {
	if c.jobs != nil {
		_ = c.jobs.Close()
	}
	_ = c.ssh.Close()
	<-c.ended
}

// Alive implements jobs.Connection.
func (c *connection) Alive() bool {
	select {
	case <-c.ended:
		return false
	default:
		return c.jobs.Err() == nil
	}
}

// logIn makes a connection to a machine that has proved itself, as the user.
func (m *machine) logIn(ctx context.Context) (*ssh.Client, error) {
	credential, err := m.config.Credential(ctx)
	if err != nil {
		return nil, fmt.Errorf("the credential of %s: %w", m.config.target(), err)
	}
	methods, done, err := credential.methods()
	if err != nil {
		return nil, fmt.Errorf("log in as %s: %w", m.config.target(), err)
	}
	defer done()
	proofs, err := m.config.HostKey.proofs(m.config.hostPort())
	if err != nil {
		return nil, err
	}
	for _, p := range proofs {
		client, failure := m.handshakes(ctx, methods, p)
		if failure == nil {
			return client, nil
		}
		if err = errors.Join(err, failure); !notThisKey(failure) {
			return nil, failure
		}
	}
	return nil, err
}

// notThisKey tells whether the machine may have proved itself by another key.
func notThisKey(err error) bool {
	_, wrong := errors.AsType[hostKeyError](err)
	_, none := errors.AsType[*ssh.AlgorithmNegotiationError](err)
	return wrong || none
}

// handshakes connects, again when it is hung up on: servers do that to some when
// many log in at once.
func (m *machine) handshakes(ctx context.Context, methods []ssh.AuthMethod, p proof) (client *ssh.Client, err error) {
	for wait := 50 * time.Millisecond; wait < 5*time.Second; wait *= 2 {
		client, err = m.handshake(ctx, methods, p)
		if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			return client, err
		}
		select {
		case <-time.After(wait/2 + rand.N(wait)): //nolint:gosec // so that they don't come back together
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return client, err
}

func (m *machine) handshake(ctx context.Context, methods []ssh.AuthMethod, p proof) (*ssh.Client, error) {
	ctx, stop := context.WithTimeout(ctx, handshakeTime)
	defer stop()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", m.config.hostPort())
	if err != nil {
		return nil, m.unreached(ctx, err)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	c, channels, requests, err := ssh.NewClientConn(conn, m.config.hostPort(), &ssh.ClientConfig{
		User: m.config.User, Auth: methods, HostKeyCallback: p.callback, HostKeyAlgorithms: p.algorithms, ClientVersion: "SSH-2.0-azml"})
	if err != nil {
		_ = conn.Close()
		return nil, m.unreached(ctx, err)
	}
	return ssh.NewClient(c, channels, requests), nil
}

// unreached gives the error of a connection that was not made its class.
func (m *machine) unreached(ctx context.Context, err error) error {
	negotiation, none := errors.AsType[*ssh.AlgorithmNegotiationError](err)
	switch {
	case azml.ClassOf(err) != nil: // the host key's
		return err
	case none:
		return fmt.Errorf("%w: %s and this program have nothing in common to speak (or no key of the known kind): %w", azml.ErrDenied, m.config.target(), negotiation)
	case strings.Contains(err.Error(), "unable to authenticate") || strings.Contains(err.Error(), "Too many authentication failures"):
		return fmt.Errorf("%w: %s was refused; check user, password or key: %w", azml.ErrDenied, m.config.target(), err)
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %s does not answer: %w", azml.ErrUnavailable, m.config.target(), context.Cause(ctx))
	}
	return fmt.Errorf("%w: %s: %w", azml.ErrUnavailable, m.config.target(), err)
}

// program is what is put on the machine.
type program struct{ path, digest string }

// findProgram asks for the program, once.
func (m *machine) findProgram(ctx context.Context) error {
	if m.program.digest != "" {
		return nil
	}
	path, err := m.config.Program(ctx, m.platform)
	if err != nil {
		return fmt.Errorf("the azml program for %s (%s/%s): %w", m.config.target(), m.platform.OS, m.platform.Arch, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%w: the azml program: %w", azml.ErrInvalid, err)
	}
	defer f.Close()
	digest, err := jobs.Digest(f)
	m.program = program{path, digest}
	return err
}

// upload puts the program on the machine.
func (m *machine) upload(ctx context.Context, client *ssh.Client, name string) error {
	f, err := os.Open(m.program.path)
	if err != nil {
		return fmt.Errorf("%w: the azml program: %w", azml.ErrInvalid, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("%w: the azml program: %w", azml.ErrInvalid, err)
	}
	return upload(ctx, client, m.config.Dir, name, m.program.digest, io.NewSectionReader(f, 0, info.Size()))
}
