package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	chunkers "github.com/PlakarKorp/go-cdc-chunkers"
	_ "github.com/PlakarKorp/go-cdc-chunkers/chunkers/fastcdc" // the algorithm registers itself there
)

// How contents are cut. These values are part of the stored format: others
// would still read everything, but share no chunks with what is stored.
const (
	cutter   = "fastcdc-v1.0.0"
	minChunk = 256 << 10
	avgChunk = 1 << 20
	maxChunk = 4 << 20
)

// cutBuffer is the size of the buffer that a chunker scans in.
const cutBuffer = 2 * maxChunk

// buffers lends the buffers of small files, of chunkers, of packs, and of chunks
// that are read.
type buffers struct {
	small, cuts, packs, chunks sync.Pool
	packRoom                   int
}

// lend gives a buffer of the pool, or a new one of that size.
func lend(pool *sync.Pool, size int) *[]byte {
	if buf, ok := pool.Get().(*[]byte); ok {
		return buf
	}
	return new(make([]byte, size))
}

// getPack gives an empty buffer with room for a pack.
func (b *buffers) getPack() []byte { return (*lend(&b.packs, b.packRoom))[:0] }

// putPack takes a pack's buffer back, unless it is a small one.
func (b *buffers) putPack(buf []byte) {
	if cap(buf) == b.packRoom {
		b.packs.Put(&buf)
	}
}

// cut reads r to its end and hands over its chunks one by one. Their bytes are
// valid until use returns. Contents of up to minChunk are one chunk, so they
// need no chunker.
func (b *buffers) cut(ctx context.Context, r io.Reader, use func(chunk []byte) error) error {
	head := lend(&b.small, minChunk)
	defer b.small.Put(head)
	in := &source{ctx: ctx, r: r}
	n, err := io.ReadFull(in, *head)
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		return use((*head)[:n])
	case err != nil:
		return err
	}
	in.head = *head
	buf := lend(&b.cuts, cutBuffer)
	defer b.cuts.Put(buf)
	opts := &chunkers.ChunkerOpts{MinSize: minChunk, NormalSize: avgChunk, MaxSize: maxChunk}
	c, err := chunkers.NewChunkerBuffer(cutter, in, opts, *buf)
	if err != nil {
		return fmt.Errorf("cut into chunks: %w", err)
	}
	for {
		chunk, err := c.Next()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if in.err != nil {
			return in.err
		}
		if len(chunk) > 0 {
			if err := use(chunk); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

// source gives head again, then the rest of r. It ends with the context and
// keeps the error of r, which a chunker may take for the end.
type source struct {
	ctx  context.Context // of one reading, as in http.Request
	r    io.Reader
	head []byte
	err  error
}

func (s *source) Read(p []byte) (int, error) {
	if len(s.head) > 0 {
		n := copy(p, s.head)
		s.head = s.head[n:]
		return n, nil
	}
	if s.err = s.ctx.Err(); s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}
