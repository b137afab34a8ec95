package scoring

import "time"

// costs are what batches were seen to cost, and how often requests come. A batch of
// weight n is taken to cost fixed + each × n, by a line through the last batches.
//
// A request that comes while a batch runs waits for it to end. So, with n requests at
// hand and the next one a gap away: to begin now costs the next one the rest of this
// batch and a fixed part of its own; to wait costs each of the n + 1 a gap, and the next
// one's share for all. That is less by fixed − each × n − gap × (n + 1): waiting pays
// while that is more than 0.
type costs struct {
	last time.Time
	gap  float64 // seconds between requests, smoothed; 0 before there were two

	// Sums over batches, older ones for less: of 1, the weights, the seconds, and
	// the products.
	one, n, t, nn, nt float64
}

const (
	// gapShare is what the last gap counts for, and longestGap what one counts for
	// at most: after a pause it takes some requests to know how often they come now.
	gapShare   = 1.0 / 8
	longestGap = 1.0
	// keepShare is what the batches before count for with each further one.
	keepShare = 0.95
)

// arrived notes a request.
func (c *costs) arrived(now time.Time) {
	if !c.last.IsZero() {
		gap := min(now.Sub(c.last).Seconds(), longestGap)
		if c.gap == 0 {
			c.gap = gap
		}
		c.gap += gapShare * (gap - c.gap)
	}
	c.last = now
}

// note takes in what a batch has cost.
func (c *costs) note(weight int, took time.Duration) {
	n, t := float64(weight), took.Seconds()
	for _, sum := range []struct {
		of *float64
		v  float64
	}{{&c.one, 1}, {&c.n, n}, {&c.t, t}, {&c.nn, n * n}, {&c.nt, n * t}} {
		*sum.of = keepShare**sum.of + sum.v
	}
}

// line gives the seconds of a batch that don't depend on its weight, and those for
// each unit of it. While all batches weigh the same, nothing is known to be fixed.
func (c *costs) line() (fixed, each float64) {
	if c.one == 0 {
		return 0, 0
	}
	const least = 1e-6 // of a spread
	spread := c.one*c.nn - c.n*c.n
	if spread <= least*c.one*c.nn {
		return 0, c.t / c.n
	}
	each = min(max((c.one*c.nt-c.n*c.t)/spread, 0), c.t/c.n)
	return (c.t - each*c.n) / c.one, each
}

// pays tells whether it pays that requests of this weight wait for another one.
func (c *costs) pays(weight int) bool {
	fixed, each := c.line()
	n := float64(weight)
	return c.gap > 0 && fixed > each*n+c.gap*(n+1)
}

// patience is for how long the next request is waited for.
func (c *costs) patience() time.Duration {
	const gaps = 3
	return time.Duration(gaps * c.gap * float64(time.Second))
}
