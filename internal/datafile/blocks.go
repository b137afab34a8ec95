package datafile

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/azml-go/azml"
)

const (
	// BlockSize is about how much of a text is read at once: large enough to make
	// the work between blocks small, small enough for the caches.
	BlockSize = 1 << 20
	// MaxRecord bounds a record of a text, in bytes.
	MaxRecord = 64 << 20
	// Padding is kept free behind a block, in the capacity of its slice, so that
	// eight bytes can be looked at from every byte of it.
	Padding = 8
)

// Blocks cuts a text into blocks of whole records. Each has memory of its own and
// ends with a line break, also the last one of a text that doesn't.
type Blocks struct {
	r    io.Reader
	end  func(data []byte) int
	size int
	rest []byte // read, and not part of a block yet
	done bool   // all was read
}

// NewBlocks makes blocks of what was opened of the file. end gives the end of the
// last whole record of data that begins where a record begins, 0 when there is
// none.
func NewBlocks(r io.Reader, file File, end func(data []byte) int) *Blocks {
	const unpacked = 8 // times the size of the file, at least as good a guess as any
	return &Blocks{r: r, end: end, size: int(min(BlockSize, max(512, unpacked*file.Size)))}
}

// Next gives the next block, io.EOF when there is none. Errors: ErrInvalid when a
// record is too long.
func (b *Blocks) Next() ([]byte, error) {
	for size := b.size; ; size *= 4 {
		data, err := b.fill(size)
		switch {
		case err != nil:
			return nil, err
		case b.done && len(data) == 0:
			return nil, io.EOF
		case b.done:
			if data[len(data)-1] != '\n' {
				data = append(data, '\n')
			}
			return data, nil
		}
		if end := b.end(data); end > 0 {
			b.rest = bytes.Clone(data[end:])
			return data[:end], nil
		}
		if size >= MaxRecord {
			return nil, fmt.Errorf("%w: a record of more than %d bytes: is a quote not closed?", azml.ErrInvalid, MaxRecord)
		}
		b.rest = data
	}
}

// fill reads up to size bytes, with what is left from before. At the end of the
// text nothing is left.
func (b *Blocks) fill(size int) ([]byte, error) {
	buf := make([]byte, size+Padding)
	n := copy(buf[:size], b.rest)
	b.rest = nil
	for n < size && !b.done {
		m, err := b.r.Read(buf[n:size])
		n += m
		if errors.Is(err, io.EOF) {
			b.done = true
		} else if err != nil {
			return nil, err
		}
	}
	return buf[:n], nil
}
