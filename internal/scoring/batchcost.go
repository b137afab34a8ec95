package scoring

import (
	"math"
	"time"
)

// costs are what batches were seen to cost, and how soon requests come. A batch of
// weight n is taken to cost fixed + each × n, by a line through the last batches.
//
// A request that comes while a batch runs waits for it to end. So, with n requests at
// hand and the next one a gap away: to begin now costs the next one the rest of this
// batch and a fixed part of its own; to wait costs each of the n + 1 a gap, and the next
// one's share for all. That is less by fixed − each × n − gap × (n + 1): waiting pays
// while that is more than 0.
type costs struct {
	last  time.Time // of a request
	ended time.Time // of the last batch, zero when a request has come since
	// How soon a request comes after another one, and how soon the first one after a
	// batch has ended: clients that send the next when they have an answer come in
	// swarms. In seconds, smoothed; 0 before it was seen.
	gap, back float64

	// Sums over batches, older ones for less: of 1, the weights, the seconds, and
	// the products.
	one, n, t, nn, nt float64
	share             float64 // of a batch's time that is fixed, as far as is known
	alike             int     // batches since one had another weight, or was to have one
}

const (
	// gapShare is what the last gap counts for, and longestGap what one counts for
	// at most: after a pause it takes some requests to know how often they come now.
	gapShare   = 1.0 / 8
	longestGap = 1.0
	// keepShare is what the batches before count for with each further one.
	keepShare = 0.95
	// leastSpread is how much weights must differ for a line to be seen in them, as
	// the share of their variance in their square.
	leastSpread = 1e-3
	// trialEvery is how many batches of one weight there are before one waits for
	// another request, to see what that would cost.
	trialEvery = 16
)

// arrived notes a request.
func (c *costs) arrived(now time.Time) {
	switch {
	case !c.ended.IsZero():
		smooth(&c.back, now.Sub(c.ended))
	case !c.last.IsZero():
		smooth(&c.gap, now.Sub(c.last))
	}
	c.last, c.ended = now, time.Time{}
}

func smooth(value *float64, took time.Duration) {
	gap := min(took.Seconds(), longestGap)
	if *value == 0 {
		*value = gap
	}
	*value += gapShare * (gap - *value)
}

// note takes in what a batch has cost that ends now.
func (c *costs) note(now time.Time, weight int, took time.Duration) {
	n, t := float64(weight), took.Seconds()
	for _, sum := range []struct {
		of *float64
		v  float64
	}{{&c.one, 1}, {&c.n, n}, {&c.t, t}, {&c.nn, n * n}, {&c.nt, n * t}} {
		*sum.of = keepShare**sum.of + sum.v
	}
	c.ended = now
	c.alike++
	if spread := c.one*c.nn - c.n*c.n; spread > leastSpread*c.one*c.nn {
		each := min(max((c.one*c.nt-c.n*c.t)/spread, 0), c.t/c.n)
		c.share, c.alike = 1-each*c.n/c.t, 0
	}
}

// late takes in a batch whose time was over: what others have cost before says no more
// what one costs now.
func (c *costs) late(now time.Time, weight int, took time.Duration) {
	c.one, c.n, c.t, c.nn, c.nt = 0, 0, 0, 0, 0
	c.note(now, weight, took)
}

// line gives the seconds of a batch that don't depend on its weight, and those for
// each unit of it.
func (c *costs) line() (fixed, each float64) {
	if c.one == 0 {
		return 0, 0
	}
	return c.share * c.t / c.one, (1 - c.share) * c.t / c.n
}

// fits tells whether a batch is likely to end within a time, or in a half of it: what was
// measured is what some have cost that went before. While nothing was measured each
// request that has a limit goes alone.
func (c *costs) fits(weight int, left time.Duration) bool {
	if left == math.MaxInt64 {
		return true
	}
	fixed, each := c.line()
	return c.one > 0 && 2*(fixed+each*float64(weight)) <= left.Seconds()
}

// next gives in how many seconds another request may be expected, 0 when that is not
// known.
func (c *costs) next() float64 {
	if c.ended.IsZero() {
		return c.gap
	}
	return c.back
}

// pays tells whether it pays that requests of this weight wait for another one, or
// whether that is to be tried.
func (c *costs) pays(weight int) bool {
	fixed, each := c.line()
	n, gap := float64(weight), c.next()
	if gap == 0 {
		return false
	}
	if fixed > each*n+gap*(n+1) {
		return true
	}
	trial := c.alike >= trialEvery && gap*(n+1) < fixed+each*n
	if trial {
		c.alike = 0
	}
	return trial
}

// patience is for how long the next request is waited for.
func (c *costs) patience() time.Duration {
	const gaps = 3
	return time.Duration(gaps * c.next() * float64(time.Second))
}
