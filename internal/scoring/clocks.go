package scoring

import (
	"sync"
	"time"
)

// clocks ring for requests that take too long. All of a deployment's have the same
// limit, so they ring in the order in which they were started: a list and one timer
// serve them all, where a timer for each costs every request some of its time.
type clocks struct {
	mu          sync.Mutex
	first, last *clock
	timer       *time.Timer // nil until the first start
	armed       bool
}

// clock is that of one request. The zero value was not started.
type clock struct {
	of            *clocks // nil before the start
	ends          time.Time
	late          func()
	before, after *clock
	rung          chan struct{} // closed when late has returned; nil until it is called
}

// start has late called at a time, in a goroutine of its own, unless the clock is
// stopped before.
func (c *clocks) start(k *clock, ends time.Time, late func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k.of, k.ends, k.late, k.before = c, ends, late, c.last
	if c.last != nil {
		c.last.after = k
	} else {
		c.first = k
	}
	c.last = k
	if c.armed {
		return
	}
	c.armed = true
	if c.timer == nil {
		c.timer = time.AfterFunc(time.Until(ends), c.ring)
	} else {
		c.timer.Reset(time.Until(ends))
	}
}

// stop is false when the clock has rung, and then returns when late has returned.
func (k *clock) stop() bool {
	if k.of == nil {
		return true
	}
	k.of.mu.Lock()
	rung := k.rung
	if rung == nil {
		k.of.remove(k)
	}
	k.of.mu.Unlock()
	if rung == nil {
		return true
	}
	<-rung
	return false
}

// ring calls those whose time has come, and sets the timer for the next one.
func (c *clocks) ring() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for k := c.first; k != nil && !k.ends.After(now); k = c.first {
		c.remove(k)
		k.rung = make(chan struct{})
		go func() {
			defer close(k.rung)
			k.late()
		}()
	}
	if c.armed = c.first != nil; c.armed {
		c.timer.Reset(c.first.ends.Sub(now))
	}
}

// remove takes a clock out of the list. The caller holds the lock.
func (c *clocks) remove(k *clock) {
	if k.before != nil {
		k.before.after = k.after
	} else {
		c.first = k.after
	}
	if k.after != nil {
		k.after.before = k.before
	} else {
		c.last = k.before
	}
	k.before, k.after = nil, nil
}
