//go:build linux

package layer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"time"

	"github.com/azml-go/azml"
)

// patience is for how long a made layer waits for who has asked for it.
const patience = 10 * time.Minute

// Run runs a script of /bin/sh and sends what it has changed to the socket, until
// who listens there says that it has it. What the script says goes to out. code is
// the script's exit code; with another one than 0 nothing is sent. Files below skip
// are no part of it. Errors: ErrUnavailable.
func Run(ctx context.Context, script, socket string, skip []string, in io.Reader, out io.Writer) (code int, err error) {
	before, err := Take("/", skip...)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", script)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Dir = in, out, out, "/"
	if err := cmd.Run(); err != nil {
		if ended, ok := errors.AsType[*exec.ExitError](err); ok && ended.Exited() {
			return ended.ExitCode(), nil
		}
		return 0, fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
	}
	after, err := Take("/", skip...)
	if err == nil {
		err = send(ctx, socket, before, after)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
	}
	return 0, nil
}

// send sends the changes, and waits for one byte.
func send(ctx context.Context, socket string, before, after Tree) error {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if err := WriteChanges(conn, before, after); err != nil {
		return err
	}
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		return err
	}
	if n, err := conn.Read(make([]byte, 1)); n == 0 {
		return fmt.Errorf("who asked for the layer did not take it: %w", err)
	}
	return nil
}
