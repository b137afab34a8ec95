// Package datafile is the files that tables are read from, wherever they lie:
// something with a name and a size of which ranges can be read.
package datafile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/inorder"
)

// File is a file that is there. It is not changed and safe for concurrent use.
type File struct {
	// Name is what errors call it.
	Name string
	// Size is its number of bytes.
	Size int64
	// Open reads length bytes from offset; a length below 0 means to the end. The
	// caller closes it.
	Open func(ctx context.Context, offset, length int64) (io.ReadCloser, error)
}

// Bytes gives a file in memory.
func Bytes(name string, data []byte) File {
	return File{Name: name, Size: int64(len(data)), Open: func(_ context.Context, offset, length int64) (io.ReadCloser, error) {
		rest := data[offset:]
		if length >= 0 {
			rest = rest[:min(length, int64(len(rest)))]
		}
		return io.NopCloser(bytes.NewReader(rest)), nil
	}}
}

// ReaderAt gives the file as an io.ReaderAt, each call of which is one request.
func (f File) ReaderAt(ctx context.Context) io.ReaderAt { return readerAt{ctx, f} }

type readerAt struct {
	ctx context.Context //nolint:containedctx // io.ReaderAt has no place for it; it lives as long as one reading
	f   File
}

func (r readerAt) ReadAt(p []byte, offset int64) (int, error) {
	if offset >= r.f.Size {
		return 0, io.EOF
	}
	want := min(int64(len(p)), r.f.Size-offset)
	body, err := r.f.Open(r.ctx, offset, want)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	n, err := io.ReadFull(body, p[:want])
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return n, fmt.Errorf("%w: %q ends at byte %d, but had %d: it was changed while it was read", azml.ErrConflict, r.f.Name, offset+int64(n), r.f.Size)
	case err == nil && n < len(p):
		err = io.EOF
	}
	return n, err
}

// Text opens the file as UTF-8 text from its beginning: unpacked when its name
// ends in ".gz", and decoded from the encoding. Both happen as it is read, so
// what is packed may have any size.
func (f File) Text(ctx context.Context, encoding string) (io.ReadCloser, error) {
	body, err := f.Open(ctx, 0, -1)
	if err != nil {
		return nil, err
	}
	return f.text(body, encoding)
}

func (f File) text(body io.ReadCloser, encoding string) (io.ReadCloser, error) {
	var r io.Reader = body
	if strings.HasSuffix(strings.ToLower(f.Name), ".gz") {
		unpacked, err := gzip.NewReader(bufio.NewReaderSize(body, 256<<10))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%w: %q is no gzip file: %w", azml.ErrInvalid, f.Name, err), body.Close())
		}
		r = unpacked
	}
	r, err := decoder(r, encoding)
	if err != nil {
		return nil, errors.Join(err, body.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{r, body}, nil
}

const (
	// smallFile is the size up to which a file is fetched whole before it is its
	// turn.
	smallFile = 1 << 20
	// ahead is how many small files are fetched at once: a store far away answers
	// many requests as fast as one.
	ahead = 8
)

// Opened is a file that may have been fetched already.
type Opened struct {
	// File is the file.
	File
	// Number is its place in the list, from 0.
	Number int
	whole  []byte
}

// Text is File.Text, without a request when the file was fetched.
func (o Opened) Text(ctx context.Context, encoding string) (io.ReadCloser, error) {
	if o.whole == nil {
		return o.File.Text(ctx, encoding)
	}
	return o.text(io.NopCloser(bytes.NewReader(o.whole)), encoding)
}

// Ahead yields the files in their order and fetches small ones before they are
// needed, several at once.
func Ahead(ctx context.Context, files []File) iter.Seq2[Opened, error] {
	numbers := func(yield func(int, error) bool) {
		for i := range files {
			if !yield(i, nil) {
				return
			}
		}
	}
	return inorder.Map(ctx, min(ahead, max(1, len(files))), numbers, func(i int) (Opened, error) {
		o := Opened{File: files[i], Number: i}
		if len(files) == 1 || o.Size > smallFile {
			return o, nil
		}
		body, err := o.Open(ctx, 0, -1)
		if err != nil {
			return o, err
		}
		defer body.Close()
		o.whole = make([]byte, 0, o.Size+1)
		b := bytes.NewBuffer(o.whole)
		if _, err := io.Copy(b, io.LimitReader(body, smallFile+1)); err != nil {
			return o, fmt.Errorf("%q: %w", o.Name, err)
		}
		if o.whole = b.Bytes(); len(o.whole) > smallFile { // it has grown: read it as a large one
			o.whole = nil
		}
		return o, nil
	})
}
