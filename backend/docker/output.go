package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Output implements backend.Compute. With Follow, new output is seen within some
// hundredths of a second; the reader ends with the context's error when that ends,
// and with ErrUnavailable when the engine stops. Errors: also ErrInvalid when
// Offset is negative.
func (d *Driver) Output(ctx context.Context, id string, opts *backend.OutputOptions) (io.ReadCloser, error) {
	if opts.Offset < 0 {
		return nil, fmt.Errorf("%w: offset %d of job %q's output is negative", azml.ErrInvalid, opts.Offset, id)
	}
	if _, err := d.inspect(ctx, id); err != nil {
		return nil, err
	}
	if err := backend.CheckNode(id, opts); err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(d.jobDir(id), outputFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: output of job %q: %w", azml.ErrNotFound, id, err)
	}
	if err != nil {
		return nil, noFile(err)
	}
	if _, err := f.Seek(opts.Offset, io.SeekStart); err != nil {
		return nil, errors.Join(noFile(err), f.Close())
	}
	if !opts.Follow {
		return f, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	r := &follower{file: f, ctx: ctx, cancel: cancel, ended: make(chan error, 1)}
	go func() {
		_, err := d.Wait(ctx, id)
		r.ended <- err
	}()
	return r, nil
}

// followPoll is how often a follower looks for new output.
const followPoll = 20 * time.Millisecond

// follower reads a file that grows.
type follower struct {
	file   *os.File
	ctx    context.Context // of the reader: it is bounded by Output's
	cancel context.CancelCauseFunc
	ended  chan error // how the waiting for the job's end went
	final  error      // why there is nothing after what is in the file; nil while the job runs
}

// Read gives what is there, and waits when there is nothing.
func (f *follower) Read(p []byte) (int, error) {
	for {
		if err := context.Cause(f.ctx); err != nil {
			return 0, err
		}
		n, err := f.file.Read(p)
		if n > 0 || len(p) == 0 || !errors.Is(err, io.EOF) {
			return n, err
		}
		if f.final != nil {
			return 0, f.final
		}
		select {
		case err := <-f.ended:
			if f.final = err; err == nil || errors.Is(err, azml.ErrNotFound) { // a removed job has ended
				f.final = io.EOF
			}
		case <-time.After(followPoll):
		case <-f.ctx.Done():
		}
	}
}

// Close ends the reading, also one that waits just now.
func (f *follower) Close() error {
	f.cancel(fmt.Errorf("%w: the output was closed", azml.ErrClosed))
	return f.file.Close()
}
