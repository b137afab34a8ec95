package delimited

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/datafile"
)

const (
	// blockSize is about how much is read at once: large enough to make the work
	// between blocks small, small enough for the caches.
	blockSize = 1 << 20
	// maxRecord bounds a record. One that is longer has a quote that is not closed.
	maxRecord = 64 << 20
	// padding is kept free behind a block, so that eight bytes can be looked at
	// from every byte of it.
	padding = 8
)

// block is some whole records of a file. The last one ends with a line break,
// also at the end of a file without one.
type block struct {
	data   []byte
	lines  int  // line breaks in it
	quotes bool // there are quotes in it
}

// splitter cuts a file into blocks.
type splitter struct {
	r    io.Reader
	size int    // of blocks
	rest []byte // read, and not part of a block yet
	done bool   // all was read
}

// newSplitter makes a splitter for what was opened of the file: a small file
// needs no large block.
func newSplitter(r io.Reader, file datafile.File) *splitter {
	const unpacked = 8 // times the size, at least as good a guess as any
	return &splitter{r: r, size: int(min(blockSize, max(512, unpacked*file.Size)))}
}

// next gives the next block, io.EOF when there is none.
func (s *splitter) next() (block, error) {
	size := s.size
	for {
		buf := make([]byte, size+padding)
		n := copy(buf[:size], s.rest)
		for n < size && !s.done {
			m, err := s.r.Read(buf[n:size])
			n += m
			if errors.Is(err, io.EOF) {
				s.done = true
			} else if err != nil {
				return block{}, err
			}
		}
		if s.done {
			return s.last(buf[:n])
		}
		if end, quotes := recordEnd(buf[:n]); end > 0 {
			s.rest = bytes.Clone(buf[end:n])
			return newBlock(buf[:end], quotes), nil
		}
		if size >= maxRecord {
			return block{}, fmt.Errorf("%w: a record of more than %d bytes: is a quote not closed?", azml.ErrInvalid, maxRecord)
		}
		s.rest = buf[:n]
		size *= 4
	}
}

// last gives what the file ends with as a block.
func (s *splitter) last(data []byte) (block, error) {
	s.rest = nil
	if len(data) == 0 {
		return block{}, io.EOF
	}
	if data[len(data)-1] != '\n' {
		data = append(data, '\n')
	}
	return newBlock(data, bytes.IndexByte(data, '"') >= 0), nil
}

func newBlock(data []byte, quotes bool) block {
	return block{data, bytes.Count(data, []byte{'\n'}), quotes}
}

// recordEnd gives the end of the last whole record, 0 when there is none, of
// data that begins where a record begins.
func recordEnd(data []byte) (end int, quotes bool) {
	before := bytes.Count(data, []byte{'"'})
	quotes = before > 0
	rest := data
	for {
		end = bytes.LastIndexByte(rest, '\n') + 1
		if end == 0 {
			return 0, quotes
		}
		if before -= bytes.Count(rest[end:], []byte{'"'}); before%2 == 0 {
			return end, quotes
		}
		rest = rest[:end-1]
	}
}
