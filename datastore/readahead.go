package datastore

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/azml-go/azml"
)

const (
	// blockSize is the unit of ranges: less costs a store as much time.
	blockSize = 256 << 10
	// maxBlocks bounds the memory of one Reader, to 32 MiB.
	maxBlocks = 128
	// maxRun is how many blocks are asked for at once, where reading goes on.
	maxRun = 32
	// maxCourses is how many places are remembered at which reading may go on: a
	// Parquet file is read at as many as it has columns.
	maxCourses = 64
)

// readAhead reads blocks of a file at any place, keeps those that were used
// last, and asks for more at once the longer reading goes on at a place.
type readAhead struct {
	ctx    context.Context //nolint:containedctx // that of the Reader
	cancel context.CancelFunc
	size   int64
	open   func(ctx context.Context, offset, length int64) io.ReadCloser
	tasks  sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	blocks  map[int64]*block
	clock   int64    // counts uses
	courses []course // those that went on last at the end
}

// block is a piece of the file that is there or on its way.
type block struct {
	ready chan struct{} // closed when data or err is set
	data  []byte
	err   error
	used  int64
}

// course is a place where reading goes on.
type course struct {
	next int64 // the block behind the last one that was asked for
	run  int64 // how many were asked for
}

func newReadAhead(ctx context.Context, size int64, open func(ctx context.Context, offset, length int64) io.ReadCloser) *readAhead {
	a := &readAhead{size: size, open: open, blocks: map[int64]*block{}}
	a.ctx, a.cancel = context.WithCancel(ctx)
	return a
}

// ReadAt implements io.ReaderAt for offsets within the file.
func (a *readAhead) ReadAt(p []byte, offset int64) (n int, err error) {
	for n < len(p) && offset < a.size {
		b, err := a.block(offset / blockSize)
		if err != nil {
			return n, err
		}
		select {
		case <-b.ready:
		case <-a.ctx.Done():
			return n, a.ctx.Err()
		}
		if b.err != nil {
			return n, b.err
		}
		copied := copy(p[n:], b.data[offset%blockSize:])
		n, offset = n+copied, offset+int64(copied)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// block gives a block that is there or on its way.
func (a *readAhead) block(i int64) (*block, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, fmt.Errorf("%w: the file was closed", azml.ErrClosed)
	}
	a.clock++
	b := a.blocks[i]
	if b == nil {
		b = a.begin(i)
	}
	b.used = a.clock
	a.lookAhead(i)
	return b, nil
}

// lookAhead asks for the next run of blocks when reading enters the last one
// that was asked for.
func (a *readAhead) lookAhead(i int64) {
	for _, c := range a.courses {
		if c.run > 1 && c.next-c.run == i {
			if c.next*blockSize < a.size && a.blocks[c.next] == nil {
				a.begin(c.next)
			}
			return
		}
	}
}

// begin asks for block i and as many behind it as is worth it.
func (a *readAhead) begin(i int64) *block {
	run := a.course(i)
	var asked []*block
	for j := i; j < i+run && j*blockSize < a.size && a.blocks[j] == nil; j++ {
		b := &block{ready: make(chan struct{}), used: a.clock}
		a.blocks[j] = b
		asked = append(asked, b)
	}
	a.evict()
	a.tasks.Go(func() { a.fetch(i, asked) })
	return asked[0]
}

// course notes that reading has come to block i, and gives how many blocks are
// to be asked for.
func (a *readAhead) course(i int64) int64 {
	c := course{run: 1}
	for k, known := range a.courses {
		if known.next == i {
			c.run = 2 * known.run
			a.courses = append(a.courses[:k], a.courses[k+1:]...)
			break
		}
	}
	// Each course keeps two runs at most: the one it reads and the one to come.
	c.run = max(1, min(c.run, maxRun, maxBlocks/2/int64(len(a.courses)+1)))
	c.next = i + c.run
	if len(a.courses) == maxCourses {
		a.courses = a.courses[1:]
	}
	a.courses = append(a.courses, c)
	return c.run
}

// evict forgets blocks that were used longest ago.
func (a *readAhead) evict() {
	for len(a.blocks) > maxBlocks {
		oldest, found := int64(0), false
		for i, b := range a.blocks {
			if !found || b.used < a.blocks[oldest].used {
				oldest, found = i, true
			}
		}
		delete(a.blocks, oldest)
	}
}

// fetch reads the blocks from i on.
func (a *readAhead) fetch(i int64, asked []*block) {
	begin := i * blockSize
	length := min(int64(len(asked))*blockSize, a.size-begin)
	body := a.open(a.ctx, begin, length)
	defer body.Close()
	for k, b := range asked {
		b.data = make([]byte, min(blockSize, length-int64(k)*blockSize))
		if _, err := io.ReadFull(body, b.data); err != nil {
			a.fail(i+int64(k), asked[k:], err)
			return
		}
		close(b.ready)
	}
}

// fail gives blocks that didn't come to nobody but those who wait for them: the
// next one asks again.
func (a *readAhead) fail(i int64, missing []*block, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for k, b := range missing {
		if a.blocks[i+int64(k)] == b {
			delete(a.blocks, i+int64(k))
		}
		b.err = err
		close(b.ready)
	}
}

// close ends what is on its way, and frees the blocks.
func (a *readAhead) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.cancel()
	a.tasks.Wait()
	a.mu.Lock()
	clear(a.blocks)
	a.mu.Unlock()
}
