package docker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/moby/moby/client"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Output implements backend.Compute. The engine sends all of the output, of which
// what is before the offset is dropped here. Reading gives ErrUnavailable when the
// engine stops meanwhile.
func (d *Driver) Output(ctx context.Context, id string, opts *backend.OutputOptions) (io.ReadCloser, error) {
	if opts == nil {
		opts = &backend.OutputOptions{}
	}
	if _, err := d.inspect(ctx, id); err != nil {
		return nil, err
	}
	logs, err := d.client.ContainerLogs(ctx, d.container(id), client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: opts.Follow})
	if err != nil {
		return nil, classify(ctx, err)
	}
	r := &output{ctx: ctx, d: d, id: id, follow: opts.Follow, logs: logs}
	if _, err := io.CopyN(io.Discard, r, opts.Offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, logs.Close())
	}
	return r, nil
}

// output takes the engine's frames apart: a header of eight bytes, the last four
// of which are the length of what follows.
type output struct {
	ctx    context.Context //nolint:containedctx // of Output, which says how long it may be read
	d      *Driver
	id     string
	follow bool
	logs   io.ReadCloser
	left   int // of the frame
	err    error
}

// Read implements io.Reader.
func (o *output) Read(p []byte) (int, error) {
	for o.left == 0 && o.err == nil {
		o.left, o.err = o.frame()
	}
	if o.err != nil || len(p) == 0 {
		return 0, o.err
	}
	n, err := o.logs.Read(p[:min(len(p), o.left)])
	o.left -= n
	if err != nil && (o.left > 0 || !errors.Is(err, io.EOF)) {
		o.err = o.broken(err)
	}
	if n > 0 {
		return n, nil
	}
	return 0, o.err
}

// frame reads the header of the next frame.
func (o *output) frame() (int, error) {
	var header [8]byte
	switch _, err := io.ReadFull(o.logs, header[:]); {
	case errors.Is(err, io.EOF):
		return 0, o.end()
	case err != nil:
		return 0, o.broken(err)
	case header[0] > 2: // the engine's own word
		text, _ := io.ReadAll(io.LimitReader(o.logs, 1000))
		return 0, o.broken(errors.New(string(text)))
	}
	return int(binary.BigEndian.Uint32(header[4:])), nil
}

// end tells whether the job has ended, too: an engine that stops ends what it
// sends as if it was all.
func (o *output) end() error {
	if !o.follow {
		return io.EOF
	}
	s, err := o.d.Status(o.ctx, o.id)
	if err == nil && s.State == backend.JobRunning {
		err = o.broken(errors.New("the engine ended it while the job runs"))
	}
	if err == nil {
		err = io.EOF
	}
	return err
}

func (o *output) broken(err error) error {
	if o.ctx.Err() != nil {
		return o.ctx.Err()
	}
	return fmt.Errorf("%w: output of job %q: %w", azml.ErrUnavailable, o.id, err)
}

// Close implements io.Closer.
func (o *output) Close() error { return o.logs.Close() }
