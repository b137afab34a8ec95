package files

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"slices"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/sha256many"
)

// patience is how long chunks that were read wait for others to be checked with: who
// comes next takes along what has waited longer. On a slow line nothing is gained by
// waiting, and who watches the progress would see it late.
const patience = 100 * time.Millisecond

// mostAtOnce is how many chunks are checked at once at most. Sixteen would take the least
// CPU time, and more of the clock's: so many wait, and so much is read from memory again.
const mostAtOnce = 12

// smallChunk is the size below which a chunk is checked by itself: nothing is gained by
// others, of which it would cut off a small piece.
const smallChunk = 64 << 10

// checker checks the chunks that several readers of a fetch have read, as many at once as
// the processor is best at, and hands them over. Whoever brings the last of so many checks
// them all, as far as there is equally much of each, while the others read on.
type checker struct {
	lent     *buffers
	use      consumer
	width    int
	arrivals []*arrival
	free     chan *arrival // holds no chunk

	mu      sync.Mutex
	waiting []*arrival // read, and not wholly hashed; those that wait longest first
}

// newChecker has room for what each reader reads and what waits for a check, or for all
// chunks where there are fewer.
func newChecker(lent *buffers, width, readers, chunks int, use consumer) *checker {
	c := &checker{lent: lent, use: use, width: width}
	c.arrivals = make([]*arrival, min(width+readers, chunks))
	c.free = make(chan *arrival, len(c.arrivals))
	for i := range c.arrivals {
		c.arrivals[i] = &arrival{}
		c.free <- c.arrivals[i]
	}
	return c
}

// close gives the buffers back, when nobody reads or checks any more.
func (c *checker) close() {
	for _, a := range c.arrivals {
		if a.buf != nil {
			c.lent.chunks.Put(a.buf)
		}
	}
}

// arrival is a chunk that was read.
type arrival struct {
	buf  *[]byte // nil before its first chunk, as sum
	sum  hash.Hash
	pack packID
	want want
	data []byte
	left []byte // of data, still to be hashed
	came time.Time
}

// room waits until there is room for one more chunk. It never waits for chunks that wait
// for others: there is room for more than are checked at once, or for every chunk.
func (c *checker) room(ctx context.Context) (*arrival, error) {
	select {
	case a := <-c.free:
		if a.buf == nil {
			a.buf, a.sum = lend(&c.lent.chunks, maxChunk), sha256.New()
		}
		return a, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// add takes a chunk of the pack, whose bytes are data, and checks what there is to check.
func (c *checker) add(a *arrival, id packID, w want, data []byte) error {
	a.sum.Reset()
	a.pack, a.want, a.data, a.left, a.came = id, w, data, data, time.Now()
	if len(data) < smallChunk {
		done, _ := advance([]*arrival{a})
		return c.handOver(done)
	}
	c.mu.Lock()
	c.waiting = append(c.waiting, a)
	c.mu.Unlock()
	for some := c.take(); len(some) > 0; some = c.take() {
		done, left := advance(some)
		c.mu.Lock()
		c.waiting = slices.Insert(c.waiting, 0, left...)
		c.mu.Unlock()
		if err := c.handOver(done); err != nil {
			return err
		}
	}
	return nil
}

// take takes of the chunks that wait as many as are checked at once; fewer only when the
// first of them has waited long, none when there are not so many.
func (c *checker) take() []*arrival {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(c.waiting), c.width)
	if n < c.width && (n == 0 || time.Since(c.waiting[0].came) < patience) {
		return nil
	}
	some := slices.Clone(c.waiting[:n])
	c.waiting = slices.Delete(c.waiting, 0, n)
	return some
}

// advance goes on with the digests as far as there is equally much of all, which brings
// at least one to its end.
func advance(some []*arrival) (done, left []*arrival) {
	n := len(some[0].left)
	for _, a := range some {
		n = min(n, len(a.left))
	}
	sums, parts := make([]hash.Hash, len(some)), make([][]byte, len(some))
	for i, a := range some {
		sums[i], parts[i] = a.sum, a.left[:n]
	}
	sha256many.Write(sums, parts)
	for _, a := range some {
		if a.left = a.left[n:]; len(a.left) == 0 {
			done = append(done, a)
		} else {
			left = append(left, a)
		}
	}
	return done, left
}

// handOver hands over chunks whose digests are known.
func (c *checker) handOver(done []*arrival) error {
	for _, a := range done {
		var err error
		if digest(a.sum.Sum(nil)) != a.want.digest {
			err = fmt.Errorf("%w: chunk %s in pack %s has other bytes", azml.ErrDamaged, a.want.digest, a.pack)
		}
		if err = c.use(a.want, a.data, err); err != nil {
			return err
		}
		c.free <- a
	}
	return nil
}

// finish checks what waits when all is read, by two at once.
func (c *checker) finish(ctx context.Context) error {
	both := newGroup(ctx, 2)
	for half := range slices.Chunk(c.waiting, max(1, (len(c.waiting)+1)/2)) {
		err := both.run(ctx, func(ctx context.Context) error { return c.finishAll(ctx, half) })
		if err != nil {
			break
		}
	}
	return cmp.Or(both.wait(), ctx.Err())
}

func (c *checker) finishAll(ctx context.Context, left []*arrival) error {
	for len(left) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		var done []*arrival
		done, left = advance(left)
		if err := c.handOver(done); err != nil {
			return err
		}
	}
	return nil
}
