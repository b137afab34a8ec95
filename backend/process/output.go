//go:build linux || darwin

package process

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

// Output implements backend.Compute. With Follow, new output is seen within a
// tenth of a second; the reader ends with the context's error when that ends.
// Errors: ErrNotFound, ErrInvalid when Offset is negative.
func (d *Driver) Output(ctx context.Context, id string, opts *backend.OutputOptions) (io.ReadCloser, error) {
	if opts.Offset < 0 {
		return nil, fmt.Errorf("%w: offset %d of job %q's output is negative", azml.ErrInvalid, opts.Offset, id)
	}
	if _, err := d.Status(ctx, id); err != nil {
		return nil, err
	}
	if err := backend.CheckNode(id, opts); err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(d.dir, folder(id), outputFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: output of job %q: %w", azml.ErrNotFound, id, err)
	}
	if err != nil {
		return nil, classify(err)
	}
	if _, err := f.Seek(opts.Offset, io.SeekStart); err != nil {
		return nil, errors.Join(classify(err), f.Close())
	}
	if !opts.Follow {
		return f, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	return &follower{file: f, ctx: ctx, cancel: cancel, driver: d, id: id, pacer: d.pacer(id)}, nil
}

// follower reads a file that grows.
type follower struct {
	file   *os.File
	ctx    context.Context // of the reader: it is bounded by Output's
	cancel context.CancelCauseFunc
	driver *Driver
	id     string
	pacer  *pacer
	final  bool // the job has ended: what is in the file is all
}

// Read gives what is there, and waits when there is nothing.
func (f *follower) Read(p []byte) (int, error) {
	for {
		if err := context.Cause(f.ctx); err != nil {
			return 0, err
		}
		n, err := f.file.Read(p)
		if n > 0 || len(p) == 0 || f.final || !errors.Is(err, io.EOF) {
			f.pacer.wait = time.Millisecond
			return n, err
		}
		if f.final = f.ended(); f.final {
			continue // the last words may have come since the read
		}
		if f.pacer.nap(f.ctx) != nil {
			return 0, context.Cause(f.ctx)
		}
	}
}

// ended tells whether nothing more can be written. A removed job has ended.
func (f *follower) ended() bool {
	s, err := f.driver.Status(f.ctx, f.id)
	return errors.Is(err, azml.ErrNotFound) || err == nil && s.State != backend.JobRunning
}

// Close ends the reading, also one that waits just now.
func (f *follower) Close() error {
	f.cancel(fmt.Errorf("%w: output of job %q", azml.ErrClosed, f.id))
	return f.file.Close()
}
