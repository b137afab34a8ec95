package kubernetes

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
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

// starting is something to be done in a pod as soon as its container runs.
type starting struct {
	driver *Driver
	tried  bool
}

// do does it once the container of a node's pod runs, of which the kubelet tells by an event
// up to a second before it tells the pod's status. It is done unless it is not known yet
// whether that runs.
func (s *starting) do(ctx context.Context, v view, n int, do func() error) (done bool, err error) {
	pod := v.nodes[n].pod
	switch {
	case v.nodes[n].container().State.Running != nil:
		return true, do()
	case s.tried || pod == nil || pod.Spec.NodeName == "" || !s.driver.awaitStarted(ctx, pod, v.version):
		return false, ctx.Err()
	}
	s.tried = true
	if err = do(); errors.Is(err, azml.ErrUnavailable) {
		return false, nil // the pod's status will say more
	}
	return true, err
}

// awaitStarted waits for the event that a pod's container runs, and tells whether it has
// come. It is over, too, when the pod changes from the version of its list, after a minute,
// and where events can't be watched.
func (d *Driver) awaitStarted(ctx context.Context, pod *corev1.Pod, version string) bool {
	const minute = 60
	events, err := d.cluster.events.Watch(ctx, metav1.ListOptions{TimeoutSeconds: new(int64(minute)),
		FieldSelector: "reason=Started,involvedObject.uid=" + string(pod.UID) + ",involvedObject.fieldPath=spec.containers{" + containerName + "}"})
	if err != nil {
		return false
	}
	defer events.Stop()
	changes, err := d.cluster.pods.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + pod.Name, ResourceVersion: version, TimeoutSeconds: new(int64(minute))})
	if err != nil {
		return false
	}
	defer changes.Stop()
	select {
	case e := <-events.ResultChan():
		return e.Type == watch.Added
	case <-changes.ResultChan():
	case <-ctx.Done():
	}
	return false
}

// serveScript waits until the job's own program is there, and is that for who listens.
const serveScript = `
until [ -x ` + runnerFile + ` ]; do sleep 0.02 2>/dev/null || sleep 1; done; exec ` + runnerFile + ` jobs attend ` + workFolder

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
	return d.talk(ctx, pod, nil, 0, shell, "-c", serveScript)
}

// talk is serve by a command that does so at its end, when it has read so much of a file,
// unless that is nil: the program speaks first. The file is closed. Errors: also ErrFailed,
// when the command has ended by a code instead.
func (d *Driver) talk(ctx context.Context, pod string, file io.ReadCloser, size int64, command ...string) (*jobs.Client, error) {
	running, cancel := context.WithCancel(ctx)
	stdin, in := io.Pipe()
	out, stdout := io.Pipe()
	c := carrier{cancel: cancel, in: in, out: out, ended: make(chan struct{})}
	var said error
	go func() {
		defer close(c.ended)
		said = d.exec(running, pod, stdin, stdout, command...)
		_ = stdin.CloseWithError(io.ErrClosedPipe)
		_ = stdout.CloseWithError(cmp.Or(said, io.EOF))
	}()
	if file != nil {
		go func() {
			_, err := io.CopyN(in, file, size)
			if err = errors.Join(err, file.Close()); err != nil {
				_ = in.CloseWithError(err) // the command misses the rest
			}
		}()
	}
	client, err := jobs.Connect(running, out, in, c)
	if err == nil {
		return client, nil
	}
	_ = c.Close()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(said, azml.ErrFailed):
		return nil, said
	case said != nil && !errors.Is(said, context.Canceled): // which is our own doing
		return nil, fmt.Errorf("%w: %w", err, said)
	}
	return nil, err
}
