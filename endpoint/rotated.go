package endpoint

import (
	"context"
	"sync"
	"time"

	"github.com/azml-go/azml/internal/history"
)

// logBytes is how large an object of a log gets before another one is begun.
const logBytes = 8 << 20

// rotateTime bounds the requests to the store for that.
const rotateTime = time.Minute

// rotated is a log of one host. When an object of it is large another one is begun, and
// all but the last few are removed, so that an endpoint that is served for years does
// not fill the store. One goroutine writes.
type rotated struct {
	c      *Client
	newKey func() string
	keys   []string // of the objects that are there
	size   int      // of the last one

	mu        sync.Mutex
	current   *history.LogWriter
	discarded bool
}

func newRotated(ctx context.Context, c *Client, newKey func() string) (*rotated, error) {
	r := &rotated{c: c, newKey: newKey}
	return r, r.begin(ctx)
}

func (r *rotated) begin(ctx context.Context) error {
	key := r.newKey()
	next, err := history.NewLogWriter(ctx, r.c.h, key)
	if err != nil {
		return err
	}
	r.keys, r.size = append(r.keys, key), 0
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.discarded {
		next.Discard()
	}
	r.current = next
	return nil
}

// Write takes all of p or, with an error, nothing.
func (r *rotated) Write(p []byte) (int, error) {
	if r.size > 0 && r.size+len(p) > logBytes {
		if err := r.rotate(); err != nil {
			return 0, err
		}
	}
	n, err := r.current.Write(p)
	r.size += n
	return n, err
}

func (r *rotated) rotate() error {
	ctx, cancel := context.WithTimeout(context.Background(), rotateTime)
	defer cancel()
	if err := r.current.Flush(ctx); err != nil {
		return err
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	for len(r.keys) > keepOwn {
		if err := r.c.removeBelow(ctx, r.keys[0]); err != nil {
			r.c.h.Logger().Warn("an old log could not be removed; it goes with the next one", "key", r.keys[0], "error", err)
			return nil
		}
		r.keys = r.keys[1:]
	}
	return nil
}

// discard drops what was not yet appended and all that is written later.
func (r *rotated) discard() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.discarded = true
	r.current.Discard()
}

// flush hands what was written to the store.
func (r *rotated) flush(ctx context.Context) error { return r.current.Flush(ctx) }

func (r *rotated) close(ctx context.Context) error { return r.current.Close(ctx) }
