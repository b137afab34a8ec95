package core

import (
	"context"
	"sync"
	"time"

	"github.com/azml-go/azml/backend"
)

// changedEvery is the time between two looks at what has changed: one costs some 20 µs
// where nothing has, however many wait.
const changedEvery = 10 * time.Millisecond

// changes tells those who wait for objects of them, as long as somebody does.
type changes struct {
	mu      sync.Mutex
	waiting map[string]map[chan struct{}]bool // by key
	stop    context.CancelFunc                // of who looks; nil while nobody waits
}

// Changed gives a channel that gets a value soon after the object of the key was
// written or deleted, by whichever process, where the store tells of changes
// (backend.ChangeFeed); elsewhere nothing comes, so who waits looks now and then
// himself. A value may come for nothing. stop must be called.
func (h Handle) Changed(key string) (changed <-chan struct{}, stop func()) {
	feed, ok := backend.As[backend.ChangeFeed](h.Objects())
	if !ok {
		return nil, func() {}
	}
	c, one := &h.s.changes, make(chan struct{}, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.waiting = map[string]map[chan struct{}]bool{}
	}
	if c.waiting[key] == nil {
		c.waiting[key] = map[chan struct{}]bool{}
	}
	c.waiting[key][one] = true
	if c.stop == nil {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		c.stop = func() { cancel(); <-ended }
		go func() {
			defer close(ended)
			c.follow(ctx, feed)
		}()
	}
	return one, func() { c.leave(key, one) }
}

// leave ends one's waiting, and with the last one's the looking.
func (c *changes) leave(key string, one chan struct{}) {
	c.mu.Lock()
	delete(c.waiting[key], one)
	if len(c.waiting[key]) == 0 {
		delete(c.waiting, key)
	}
	var stop func()
	if len(c.waiting) == 0 {
		stop, c.stop = c.stop, nil
	}
	c.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// follow looks at what has changed until ctx ends, or the store can't tell at all.
func (c *changes) follow(ctx context.Context, feed backend.ChangeFeed) {
	cursor := ""
	for {
		changes, err := feed.Changes(ctx, cursor, &backend.ChangesOptions{})
		switch {
		case err != nil: // what it was asked for is asked for again
		case changes.Lost && changes.Cursor == "":
			return
		default:
			cursor = changes.Cursor
			c.tell(changes)
		}
		select {
		case <-time.After(changedEvery):
		case <-ctx.Done():
			return
		}
	}
}

// tell tells who waits for one of the keys, and all when nobody knows which.
func (c *changes) tell(changes backend.Changes) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if changes.Lost {
		for _, waiting := range c.waiting {
			wake(waiting)
		}
	}
	for _, key := range changes.Keys {
		wake(c.waiting[key])
	}
}

// wake wakes all that are not awake.
func wake(waiting map[chan struct{}]bool) {
	for one := range waiting {
		select {
		case one <- struct{}{}:
		default:
		}
	}
}
