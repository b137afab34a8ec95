package datastore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
)

// OpenOptions are the options of Datastore.Open. There are none yet.
type OpenOptions struct{}

// Open opens a file for reading, as a stream or at any place. It costs a
// request, which brings the beginning of the file; more is asked for when it is
// read. Close it. Errors: ErrNotFound, ErrUnsupported.
func (d *Datastore) Open(ctx context.Context, path string, _ *OpenOptions) (_ *Reader, err error) {
	defer d.h.Operation(&ctx, &err, "open file of", kind, d.Name())()
	return d.openFile(ctx, path)
}

func (d *Datastore) openFile(ctx context.Context, path string) (r *Reader, err error) {
	c, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	err = d.withFiles(ctx, func(files backend.DataFiles) error {
		object, err := files.Get(ctx, path, &backend.GetOptions{Length: blockSize})
		if err != nil {
			return about(path, err)
		}
		r = &Reader{ctx: ctx, name: d.Name(), files: files, credentials: c.credentials, file: fileOf(object.Info)}
		if _, ok := object.Body.(io.ReaderAt); ok { // at hand, so the whole costs as little
			if err := object.Body.Close(); err != nil {
				return about(path, err)
			}
			return r.openWhole()
		}
		first := int64(blockSize)
		if r.file.Size >= 0 {
			first = min(first, r.file.Size)
		}
		r.stream = &stream{r: r, end: first, body: object.Body}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Reader reads one file of a datastore, in ranges. All ranges are of one state
// of the file: when it changes meanwhile, reading fails with ErrConflict. A
// connection that breaks is replaced by one for the rest. ReadAt is safe for
// concurrent use and reads ahead where reading goes on; Read and Seek are for
// one goroutine.
type Reader struct {
	ctx         context.Context //nolint:containedctx // io.Reader has no other place for it
	name        string          // of the datastore
	files       backend.DataFiles
	credentials backend.Credentials
	file        File

	stream *stream     // for Read, nil after a Seek
	offset int64       // of Read
	whole  io.ReaderAt // of a file at hand, else nil

	mu    sync.Mutex
	ahead *readAhead // of a file that is not at hand, from the first ReadAt on
}

// File describes what is read.
func (r *Reader) File() File { return r.file }

// Size gives the number of bytes, so that a Reader is a backend.Content. It is
// -1 when a web server doesn't tell it.
func (r *Reader) Size() int64 { return r.file.Size }

// openWhole opens a file that is at hand.
func (r *Reader) openWhole() error {
	body, err := r.get(r.ctx, 0, 0)
	if err != nil {
		return err
	}
	r.stream = &stream{r: r, end: r.file.Size, body: body}
	r.whole, _ = body.(io.ReaderAt)
	return nil
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (n int, err error) {
	for {
		if r.stream == nil {
			if r.file.Size >= 0 && r.offset >= r.file.Size {
				return 0, io.EOF
			}
			r.stream = &stream{r: r, offset: r.offset, end: r.file.Size}
		}
		n, err = r.stream.Read(p)
		r.offset += int64(n)
		if !errors.Is(err, io.EOF) {
			return n, r.explain(err)
		}
		if r.stream.end == r.file.Size {
			return n, io.EOF
		}
		// The beginning that came with Open is read; now comes the rest.
		if err = r.stream.Close(); err != nil {
			return n, r.explain(err)
		}
		if r.stream = nil; n > 0 {
			return n, nil
		}
	}
}

// Seek implements io.Seeker. It asks for nothing.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.offset
	case io.SeekEnd:
		if r.file.Size < 0 {
			return 0, r.explain(errNoSize)
		}
		offset += r.file.Size
	}
	if offset < 0 {
		return 0, r.explain(fmt.Errorf("%w: seek to %d", azml.ErrInvalid, offset))
	}
	if offset == r.offset {
		return offset, nil
	}
	r.offset = offset
	if seeker, ok := r.whole.(io.Seeker); ok {
		r.stream.offset = offset
		return seeker.Seek(offset, io.SeekStart)
	}
	return offset, r.endStream()
}

func (r *Reader) endStream() error {
	if r.stream == nil {
		return nil
	}
	err := r.stream.Close()
	r.stream = nil
	return r.explain(err)
}

// errNoSize is the error for what needs the size of a file.
var errNoSize = fmt.Errorf("%w: the server doesn't tell the file's size, it can only be read from the beginning", azml.ErrUnsupported)

// ReadAt implements io.ReaderAt.
func (r *Reader) ReadAt(p []byte, offset int64) (int, error) {
	switch {
	case r.whole != nil:
		n, err := r.whole.ReadAt(p, offset)
		if err != nil && !errors.Is(err, io.EOF) {
			err = r.explain(err)
		}
		return n, err
	case r.file.Size < 0:
		return 0, r.explain(errNoSize)
	case offset < 0:
		return 0, r.explain(fmt.Errorf("%w: offset %d", azml.ErrInvalid, offset))
	case offset >= r.file.Size:
		return 0, io.EOF
	}
	r.mu.Lock()
	if r.ahead == nil {
		r.ahead = newReadAhead(r.ctx, r.file.Size, func(ctx context.Context, offset, length int64) io.ReadCloser {
			return &stream{r: r, ctx: ctx, offset: offset, end: offset + length}
		})
	}
	ahead := r.ahead
	r.mu.Unlock()
	n, err := ahead.ReadAt(p, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.explain(err)
	}
	return n, err
}

// get opens a range of the file as it was opened.
func (r *Reader) get(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
	object, err := r.files.Get(ctx, r.file.Path, &backend.GetOptions{Offset: offset, Length: length})
	if err != nil {
		return nil, err
	}
	if string(object.Info.ETag) != r.file.ETag || object.Info.Size != r.file.Size {
		return nil, errors.Join(fmt.Errorf("%w: it changed while it was read", azml.ErrConflict), object.Body.Close())
	}
	return object.Body, nil
}

// explain gives an error the name of the file, without credentials.
func (r *Reader) explain(err error) error {
	if err == nil {
		return nil
	}
	err = about(r.file.Path, scrub(err, r.credentials))
	core.Wrap(&err, "read file of", kind, r.name)
	return err
}

// Close frees what reading holds. A Reader that only ReadAt was called on holds
// memory until then.
func (r *Reader) Close() error {
	r.mu.Lock()
	ahead := r.ahead
	r.mu.Unlock()
	if ahead != nil {
		ahead.close()
	}
	return r.endStream()
}
