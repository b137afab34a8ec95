package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
	"k8s.io/klog/v2"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/ssh/jobs"
)

// exec runs a command in the container of a pod. Errors: ErrFailed when it ended by
// another code than 0, with what it has said to its standard error; ErrUnavailable.
func (d *Driver) exec(ctx context.Context, pod string, in io.Reader, out io.Writer, command ...string) error {
	known, err := kinds()
	if err != nil {
		return err
	}
	at := d.cluster.core.Post().Namespace(d.cluster.namespace).Resource("pods").Name(pod).SubResource("exec").VersionedParams(&corev1.PodExecOptions{
		Container: containerName, Command: command, Stdin: in != nil, Stdout: true, Stderr: true}, runtime.NewParameterCodec(known)).URL()
	sockets, err := remotecommand.NewWebSocketExecutor(d.cluster.config, "GET", at.String())
	if err != nil {
		return fmt.Errorf("%w: %w", azml.ErrInvalid, err)
	}
	spdy, err := remotecommand.NewSPDYExecutor(d.cluster.config, "POST", at) // for older clusters
	if err != nil {
		return fmt.Errorf("%w: %w", azml.ErrInvalid, err)
	}
	either, err := remotecommand.NewFallbackExecutor(sockets, spdy, func(err error) bool { return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err) })
	if err != nil {
		return fmt.Errorf("%w: %w", azml.ErrInvalid, err)
	}
	var said bytes.Buffer
	err = either.StreamWithContext(klog.NewContext(ctx, logr.Discard()), remotecommand.StreamOptions{Stdin: in, Stdout: out, Stderr: &said})
	if code, ok := errors.AsType[exec.CodeExitError](err); ok {
		return fmt.Errorf("%w: exit code %d: %s", azml.ErrFailed, code.Code, strings.TrimSpace(said.String()))
	}
	return classify(ctx, err)
}

// tries are those to do something with a pod before the kubelet has told the API server
// that its container runs, which takes it up to a second.
type tries struct{ made bool }

// do does something with a pod once its container runs. It is done unless it is not
// known yet whether that does.
func (t *tries) do(ctx context.Context, n node, do func() error) (done bool, err error) {
	switch {
	case n.container().State.Running != nil:
		return true, do()
	case t.made || n.pod == nil || n.pod.Spec.NodeName == "":
		return false, nil
	}
	t.made = true
	const most = 3 * time.Second
	for end, pause := time.Now().Add(most), 40*time.Millisecond; time.Now().Before(end); pause += pause / 8 {
		if err = do(); !errors.Is(err, azml.ErrUnavailable) {
			return true, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return false, nil
}

// serveScript waits until the job's own program is there, and ready for others.
const serveScript = `until [ -S ` + socketFile + ` ]; do sleep 0.02 2>/dev/null || sleep 1; done; exec ` + runnerFile + ` jobs serve ` + workFolder

// carrier is the two pipes of a program in a pod.
type carrier struct {
	cancel context.CancelFunc
	in     *io.PipeWriter
	out    *io.PipeReader
	ended  chan struct{}
}

// Close ends the program.
func (c carrier) Close() error {
	err := errors.Join(c.in.Close(), c.out.Close())
	c.cancel()
	<-c.ended
	return err
}

// serve starts the program in a pod once more, and gives who asks it. Closing the
// client ends it, and so does ctx.
func (d *Driver) serve(ctx context.Context, pod string) (*jobs.Client, error) {
	running, cancel := context.WithCancel(ctx)
	stdin, in := io.Pipe()
	out, stdout := io.Pipe()
	c := carrier{cancel: cancel, in: in, out: out, ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		err := d.exec(running, pod, stdin, stdout, shell, "-c", serveScript)
		_ = stdin.CloseWithError(io.ErrClosedPipe)
		if err == nil {
			err = io.EOF
		}
		_ = stdout.CloseWithError(err)
	}()
	client, err := jobs.Connect(running, out, in, c)
	if err != nil {
		_ = c.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	return client, nil
}
