// Package datafile is the files that tables are read from, wherever they lie:
// something with a name and a size of which ranges can be read.
package datafile

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/inorder"
	"github.com/azml-go/azml/tabular"
)

// Stream is an open file: read from its beginning, or at any place.
type Stream interface {
	io.ReadCloser
	io.ReaderAt
}

// File is a file that is there. It is not changed and safe for concurrent use.
type File struct {
	// Name is what errors call it.
	Name string
	// Size is its number of bytes.
	Size int64
	// Open opens it. Nothing is read before it is asked for; reading ends with ctx.
	Open func(ctx context.Context) (Stream, error)
}

// memory is a file in memory.
type memory struct{ *bytes.Reader }

// Close implements io.Closer.
func (memory) Close() error { return nil }

// Bytes gives a file in memory.
func Bytes(name string, data []byte) File {
	return File{Name: name, Size: int64(len(data)), Open: func(context.Context) (Stream, error) { return memory{bytes.NewReader(data)}, nil }}
}

// Text opens the file as UTF-8 text from its beginning: unpacked when its name
// ends in ".gz", and decoded from the encoding. Both happen as it is read, so
// what is packed may have any size.
func (f File) Text(ctx context.Context, encoding string) (io.ReadCloser, error) {
	body, err := f.Open(ctx)
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
		r = packed{unpacked}
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

// packed gives what is wrong with the packed bytes a class; errors of reading them
// have one.
type packed struct{ *gzip.Reader }

// Read implements io.Reader.
func (p packed) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	var corrupt flate.CorruptInputError
	if err == io.ErrUnexpectedEOF || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || errors.As(err, &corrupt) { //nolint:errorlint // gzip's own is bare
		err = fmt.Errorf("%w: it can't be unpacked: it is damaged or cut off: %w", azml.ErrInvalid, err)
	}
	return n, err
}

// Part is some consecutive rows of one of some files.
type Part struct {
	*tabular.Batch
	// File is the number of the file, from 0.
	File int
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

// Stream is File.Open, without a request when the file was fetched.
func (o Opened) Stream(ctx context.Context) (Stream, error) {
	if o.whole == nil {
		return o.Open(ctx)
	}
	return memory{bytes.NewReader(o.whole)}, nil
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
		body, err := o.Open(ctx)
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
