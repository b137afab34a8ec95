package scheduler

import "time"

// clock tells the store's time, which all schedulers and submitters agree on: their own
// clocks may be hours apart. It goes on from when the store last said it, by how much
// time has gone by in this process. The zero clock tells nothing.
type clock struct{ said, at time.Time }

func (c clock) now() time.Time { return c.said.Add(time.Since(c.at)) }

// now gives the store's time, and whether it is known yet.
func (c *cluster) now() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock.now(), !c.clock.said.IsZero()
}

// beaten tells whether this process has given a sign of life within that time.
func (c *cluster) beaten(within time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.lease) < within
}
