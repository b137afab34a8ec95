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

// Open opens a file for reading, as a stream or at any place. Only what is read
// is asked for, in ranges that grow while they follow each other. Close it.
// Errors: ErrNotFound, ErrUnsupported.
func (d *Datastore) Open(ctx context.Context, path string, _ *OpenOptions) (_ *Reader, err error) {
	defer d.h.Operation(&ctx, &err, "open file of", kind, d.Name())()
	var r *Reader
	err = d.withFiles(ctx, func(files backend.DataFiles) error {
		object, err := files.Get(ctx, path, &backend.GetOptions{})
		if err != nil {
			return about(path, err)
		}
		r = &Reader{ctx: ctx, d: d, files: files, file: fileOf(object.Info), body: object.Body}
		return nil
	})
	return r, err
}

// Reader reads one file of a datastore. All ranges are of one state of the
// file: when it changes meanwhile, reading fails with ErrConflict. ReadAt is
// safe for concurrent use, Read and Seek are for one goroutine.
type Reader struct {
	ctx   context.Context //nolint:containedctx // io.Reader has no other place for it
	d     *Datastore
	files backend.DataFiles
	file  File

	mu     sync.Mutex
	body   io.ReadCloser // at offset; nil after a Seek
	offset int64
}

// File describes what is read.
func (r *Reader) File() File { return r.file }

// Size gives the number of bytes, so that a Reader is a backend.Content.
func (r *Reader) Size() int64 { return r.file.Size }

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if r.body == nil {
		if r.offset >= r.file.Size {
			return 0, io.EOF
		}
		body, err := r.get(r.offset, 0)
		if err != nil {
			return 0, err
		}
		r.body = body
	}
	n, err := r.body.Read(p)
	r.offset += int64(n)
	return n, err
}

// Seek implements io.Seeker. It asks for nothing.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.offset
	case io.SeekEnd:
		offset += r.file.Size
	}
	if offset < 0 {
		return 0, fmt.Errorf("%w: seek to %d", azml.ErrInvalid, offset)
	}
	if offset == r.offset {
		return offset, nil
	}
	err := r.Close()
	r.offset = offset
	return offset, err
}

// ReadAt implements io.ReaderAt.
func (r *Reader) ReadAt(p []byte, offset int64) (int, error) {
	if offset >= r.file.Size {
		return 0, io.EOF
	}
	body, err := r.get(offset, int64(len(p)))
	if err != nil {
		return 0, err
	}
	defer body.Close()
	n, err := io.ReadFull(body, p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

// get opens a range of the file as it was opened.
func (r *Reader) get(offset, length int64) (_ io.ReadCloser, err error) {
	defer core.Wrap(&err, "read file of", kind, r.d.Name())
	object, err := r.files.Get(r.ctx, r.file.Path, &backend.GetOptions{Offset: offset, Length: length})
	if err != nil {
		return nil, about(r.file.Path, err)
	}
	if string(object.Info.ETag) != r.file.ETag || object.Info.Size != r.file.Size {
		return nil, errors.Join(fmt.Errorf("%w: %s changed while it was read", azml.ErrConflict, r.file.Path), object.Body.Close())
	}
	return object.Body, nil
}

// Close frees what reading holds.
func (r *Reader) Close() error {
	if r.body == nil {
		return nil
	}
	body := r.body
	r.body = nil
	return body.Close()
}
