package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/azml-go/azml"
)

// execution is a command that runs in a container beside what that runs.
type execution struct {
	client *client.Client
	id     string
	// in is what it reads; out what it writes, which must be read to its end or
	// closed.
	in  *client.HijackedResponse
	out *io.PipeReader
	// said is the beginning of what it has written to standard error, whole when
	// ended is closed.
	said  bounded
	ended chan struct{}
}

// bounded keeps the beginning of what is written.
type bounded struct{ bytes.Buffer }

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	const limit = 4 << 10
	_, _ = b.Buffer.Write(p[:min(len(p), max(0, limit-b.Len()))])
	return len(p), nil
}

// exec starts a script of the shell's in the container. The context bounds the
// starting.
func (r *reach) exec(ctx context.Context, script string, args ...string) (*execution, error) {
	made, err := r.client.ExecCreate(ctx, r.opts.Container, client.ExecCreateOptions{User: r.opts.User, AttachStdin: true, AttachStdout: true, AttachStderr: true,
		Cmd: append([]string{shell, "-c", script, "sh"}, args...)})
	if err = classify(ctx, err); errors.Is(err, azml.ErrConflict) {
		return nil, fmt.Errorf("%w: container %s does not run: start it", azml.ErrUnavailable, r.opts.Container)
	}
	if err != nil {
		return nil, fmt.Errorf("container %s: %w", r.opts.Container, err)
	}
	attached, err := r.client.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	if err = classify(ctx, err); errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrConflict) { // it stopped just now
		err = fmt.Errorf("%w: %s", azml.ErrUnavailable, err.Error())
	}
	if err != nil {
		return nil, fmt.Errorf("container %s: %w", r.opts.Container, err)
	}
	out, w := io.Pipe()
	e := &execution{client: r.client, id: made.ID, in: &attached.HijackedResponse, out: out, ended: make(chan struct{})}
	go func() {
		defer close(e.ended)
		_, err := stdcopy.StdCopy(w, &e.said, attached.Reader)
		_ = w.CloseWithError(err) // nil is the end
	}()
	return e, nil
}

// Write implements io.Writer: it is what the command reads.
func (e *execution) Write(p []byte) (int, error) { return e.in.Conn.Write(p) }

// end cuts the command off, which then reads to the end.
func (e *execution) end() {
	e.in.Close()
	_ = e.out.Close()
}

// Close cuts the command off and returns when nothing of it comes any more.
func (e *execution) Close() error {
	e.end()
	<-e.ended
	return nil
}

// exitCode waits for what the command says to end, and gives its exit code when it has one
// soon after.
func (e *execution) exitCode(ctx context.Context) (code int, ended bool) {
	const patience = 5 * time.Second
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	select {
	case <-e.ended:
	case <-ctx.Done():
		return 0, false
	}
	for {
		state, err := e.client.ExecInspect(ctx, e.id, client.ExecInspectOptions{})
		if err == nil && !state.Running {
			return state.ExitCode, true
		}
		select {
		case <-time.After(startPoll):
		case <-ctx.Done():
			return 0, false
		}
	}
}
