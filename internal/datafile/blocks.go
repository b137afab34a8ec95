package datafile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sort"

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

	limited bool
	queue   []byte // whole records that are too many for a block
}

// NewBlocks makes blocks of what was opened of the file. end gives the end of the
// last whole record of data that begins where a record begins, 0 when there is
// none.
func NewBlocks(r io.Reader, file File, end func(data []byte) int) *Blocks {
	const unpacked = 8 // times the size of the file, at least as good a guess as any
	return &Blocks{r: r, end: end, size: int(min(BlockSize, max(512, unpacked*file.Size)))}
}

const (
	// maxValues is about how many values a block becomes at most.
	maxValues = 4 << 20
	// leastBlock bounds what Limit does.
	leastBlock = 256
)

// Limit makes blocks smaller where records need not have all of so many columns: one
// of a byte is a value of each.
func (b *Blocks) Limit(columns int) {
	b.size, b.limited = min(b.size, max(leastBlock, maxValues/max(1, columns))), true
}

// Next gives the next block, io.EOF when there is none. Errors: ErrInvalid when a
// record is too long.
func (b *Blocks) Next() ([]byte, error) {
	if len(b.queue) == 0 {
		data, err := b.next()
		if err != nil || !b.limited || len(data) <= b.size {
			return data, err
		}
		b.queue = data
	}
	n := len(b.queue)
	if n > b.size {
		if n = b.end(b.queue[:b.size]); n == 0 { // one record that is longer
			n = b.end(b.queue[:min(len(b.queue), 1+sort.Search(len(b.queue), func(n int) bool { return b.end(b.queue[:n+1]) > 0 }))])
		}
		if n == 0 {
			n = len(b.queue)
		}
	}
	data := append(make([]byte, 0, n+Padding), b.queue[:n]...)
	b.queue = b.queue[n:]
	return data, nil
}

// next reads a block that is as large as the longest of its records wants.
func (b *Blocks) next() ([]byte, error) {
	for size := b.size; ; size = min(4*size, MaxRecord) {
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
