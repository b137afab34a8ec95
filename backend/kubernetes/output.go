package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/ssh/jobs"
)

// Output implements backend.Compute. While the job runs, it is read where the job
// has written it; after that, from the log of its pod, of which the cluster may have
// kept the end alone. Errors: also ErrInvalid when Offset is negative, and
// ErrNotFound for what is not kept.
func (d *Driver) Output(ctx context.Context, id string, opts *backend.OutputOptions) (io.ReadCloser, error) {
	if opts.Offset < 0 {
		return nil, fmt.Errorf("%w: offset %d of job %q's output is negative", azml.ErrInvalid, opts.Offset, id)
	}
	v, err := d.look(ctx, id)
	if err != nil {
		return nil, err
	}
	if opts.Node < 0 || opts.Node >= len(v.nodes) {
		return nil, fmt.Errorf("%w: node %d of job %q, which has %d", azml.ErrNotFound, opts.Node, id, len(v.nodes))
	}
	o := &output{driver: d, id: id, opts: *opts}
	o.ctx, o.cancel = context.WithCancelCause(ctx)
	return o, nil
}

// output reads where the output is just now, and on where a connection was lost.
type output struct {
	driver *Driver
	ctx    context.Context // of the reader: it is bounded by Output's
	cancel context.CancelCauseFunc
	id     string
	opts   backend.OutputOptions
	body   io.ReadCloser // nil when it is to be opened
	lost   time.Time     // since when nothing could be read
}

// Read implements io.Reader.
func (o *output) Read(p []byte) (int, error) {
	for {
		if err := context.Cause(o.ctx); err != nil {
			return 0, err
		}
		if o.body == nil {
			if err := o.open(); err != nil {
				return 0, err
			}
		}
		n, err := o.body.Read(p)
		o.opts.Offset += int64(n)
		if errors.Is(err, azml.ErrUnavailable) && o.again() {
			_ = o.body.Close() // it is broken
			o.body, err = nil, nil
		}
		if n > 0 {
			o.lost = time.Time{}
		}
		if n > 0 || len(p) == 0 || err != nil {
			return n, o.why(err)
		}
	}
}

// again tells whether to try once more, after a moment, to read what could not be.
func (o *output) again() bool {
	if o.lost.IsZero() {
		o.lost = time.Now()
	}
	select {
	case <-time.After(openEvery):
	case <-o.ctx.Done():
	}
	return time.Since(o.lost) < o.driver.opts.Patience
}

// openEvery is the pause between tries to open the output again.
const openEvery = 50 * time.Millisecond

// why gives the context's error for one that comes of its end.
func (o *output) why(err error) error {
	if cause := context.Cause(o.ctx); err != nil && !errors.Is(err, io.EOF) && cause != nil {
		return cause
	}
	return err
}

// Close implements io.Closer. It also ends a Read that waits just now.
func (o *output) Close() error {
	o.cancel(fmt.Errorf("%w: the output was closed", azml.ErrClosed))
	return nil
}

// open waits for the output to be somewhere and opens it there.
func (o *output) open() error {
	var at node
	err := o.driver.follow(o.ctx, o.id, func(v view) (bool, error) {
		at = v.nodes[o.opts.Node]
		return at.ended() || at.container().State.Running != nil || !o.opts.Follow, nil
	})
	switch {
	case err != nil:
		return o.why(err)
	case at.ended():
		o.body, err = o.driver.kept(o.ctx, at, o.opts.Offset)
	case at.container().State.Running == nil || !o.opts.Follow && at.job.Annotations[begunAnnotation] == "":
		o.body = io.NopCloser(strings.NewReader(""))
	default:
		o.body, err = o.live(at.pod)
	}
	if errors.Is(err, azml.ErrUnavailable) || errors.Is(err, azml.ErrFailed) { // the pod may just have ended
		o.body, err = io.NopCloser(failing{fmt.Errorf("%w: %w", azml.ErrUnavailable, err)}), nil
	}
	return o.why(err)
}

// failing is a reader that gives an error.
type failing struct{ err error }

// Read implements io.Reader.
func (f failing) Read([]byte) (int, error) { return 0, f.err }

// live opens the output of a running job, by a connection of its own: the job's end
// waits for it.
func (o *output) live(pod *corev1.Pod) (io.ReadCloser, error) {
	client, err := o.driver.serve(o.ctx, pod.Name)
	if err != nil {
		return nil, err
	}
	opts := o.opts
	opts.Node = 0 // in its pod each is the only one
	body, err := client.Output(o.ctx, o.id, opts)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	context.AfterFunc(o.ctx, func() { _ = client.Close() })
	return &stream{ReadCloser: body, client: client}, nil
}

// stream closes its connection with its end.
type stream struct {
	io.ReadCloser
	client *jobs.Client
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil {
		_ = s.client.Close()
	}
	return n, err
}

// Close implements io.Closer.
func (s *stream) Close() error { return errors.Join(s.ReadCloser.Close(), s.client.Close()) }

// kept gives what the cluster has kept of an ended job's output.
func (d *Driver) kept(ctx context.Context, n node, offset int64) (io.ReadCloser, error) {
	end := n.container().State.Terminated
	if end == nil {
		return io.NopCloser(strings.NewReader("")), nil
	}
	known, err := kinds()
	if err != nil {
		return nil, err
	}
	log, err := d.cluster.core.Get().Namespace(d.cluster.namespace).Resource("pods").Name(n.pod.Name).SubResource("log").
		VersionedParams(&corev1.PodLogOptions{Container: containerName}, runtime.NewParameterCodec(known)).DoRaw(ctx)
	if apierrors.IsNotFound(err) { // or it can't be found for the moment: the next look tells whether the job is there
		return nil, fmt.Errorf("%w: the log of job %q: %w", azml.ErrUnavailable, n.job.Annotations[jobAnnotation], err)
	}
	if err != nil {
		return nil, classify(ctx, err)
	}
	text := string(log)
	first := int64(0)
	if o, err := jobs.UnmarshalOutcome([]byte(end.Message)); err == nil && o.Err == nil {
		if !o.Whole { // a log ends with the end of a line
			text = strings.TrimSuffix(text, "\n")
		}
		first = o.Size - int64(len(text))
	}
	if first < 0 { // a kubelet that can't find a log for the moment says so in its place
		return nil, fmt.Errorf("%w: the log of job %q: %.200s", azml.ErrUnavailable, n.job.Annotations[jobAnnotation], text)
	}
	if offset < first {
		return nil, fmt.Errorf("%w: the first %d bytes of what job %q has written are not kept", azml.ErrNotFound, first, n.job.Annotations[jobAnnotation])
	}
	return io.NopCloser(strings.NewReader(text[min(offset-first, int64(len(text))):])), nil
}
