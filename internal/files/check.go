package files

import (
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

// patience is how long chunks that were read wait for others to be checked with. On a
// slow line nothing is gained by it, and who watches the progress would see it late.
const patience = 50 * time.Millisecond

// checker checks the chunks that several readers of a fetch have read, as many at once as
// the processor is best at, and hands them over. Whoever brings the last of so many checks
// them all while the others read on.
type checker struct {
	lent  *buffers
	use   func(w want, data []byte, err error) error
	width int
	all   []*arrival
	free  chan *arrival // holds no chunk

	mu      sync.Mutex
	waiting []*arrival // read, and not wholly hashed
	begun   time.Time  // of the last check
}

// newChecker has room for what each reader reads, what waits for a check, and as much as
// comes meanwhile, or for all chunks where there are fewer.
func newChecker(lent *buffers, width, readers, chunks int, use func(w want, data []byte, err error) error) *checker {
	c := &checker{lent: lent, use: use, width: width, begun: time.Now()}
	c.all = make([]*arrival, min(width+2*readers, chunks))
	c.free = make(chan *arrival, len(c.all))
	for i := range c.all {
		c.all[i] = &arrival{}
		c.free <- c.all[i]
	}
	return c
}

// close gives the buffers back, when nobody reads or checks any more.
func (c *checker) close() {
	for _, a := range c.all {
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
}

// room waits until there is room for one more chunk. It never waits for chunks that wait
// for others: there is room for more than are checked at once.
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
	a.pack, a.want, a.data, a.left = id, w, data, data
	for some := c.take(a); len(some) > 0; some = c.take() {
		left, err := c.check(some)
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.waiting = append(c.waiting, left...)
		c.mu.Unlock()
	}
	return nil
}

// take adds to the chunks that wait, and takes as many of them as are checked at once;
// fewer only when they have waited long, none when there are not so many.
func (c *checker) take(more ...*arrival) []*arrival {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = append(c.waiting, more...)
	n := min(len(c.waiting), c.width)
	if now := time.Now(); n == c.width || now.Sub(c.begun) > patience {
		c.begun = now
		some := slices.Clone(c.waiting[:n])
		c.waiting = slices.Delete(c.waiting, 0, n)
		return some
	}
	return nil
}

// check goes on with the digests as far as there is equally much of all, hands over those
// that are done, and gives the others.
func (c *checker) check(some []*arrival) (left []*arrival, err error) {
	n := len(some[0].left)
	for _, a := range some {
		n = min(n, len(a.left))
	}
	sums, parts := make([]hash.Hash, len(some)), make([][]byte, len(some))
	for i, a := range some {
		sums[i], parts[i] = a.sum, a.left[:n]
		a.left = a.left[n:]
	}
	sha256many.Write(sums, parts)
	for _, a := range some {
		if len(a.left) > 0 {
			left = append(left, a)
			continue
		}
		if err := a.over(c.use); err != nil {
			return nil, err
		}
		c.free <- a
	}
	return left, nil
}

// over hands the chunk over, whose digest is known.
func (a *arrival) over(use func(w want, data []byte, err error) error) (err error) {
	if digest(a.sum.Sum(nil)) != a.want.digest {
		err = fmt.Errorf("%w: chunk %s in pack %s has other bytes", azml.ErrDamaged, a.want.digest, a.pack)
	}
	return use(a.want, a.data, err)
}

// finish checks what waits when all is read, by two at once.
func (c *checker) finish(ctx context.Context) error {
	both := newGroup(ctx, 2)
	for half := range slices.Chunk(c.waiting, max(1, (len(c.waiting)+1)/2)) {
		err := both.run(ctx, func(ctx context.Context) (err error) {
			for len(half) > 0 && err == nil {
				if half, err = c.check(half); err == nil {
					err = ctx.Err()
				}
			}
			return err
		})
		if err != nil {
			break // wait gives it
		}
	}
	return both.wait()
}
