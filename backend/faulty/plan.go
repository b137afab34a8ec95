// Package faulty breaks a store on purpose, for tests: it injects errors, lost
// answers, delays and torn reads by a seed, and simulates the crash of a
// process at each of its writes in turn.
package faulty

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/azml-go/azml"
)

// Plan says what goes wrong. Rates are from 0 (never, the default) to 1. Calls
// made in the same order with the same seed have the same fate.
type Plan struct {
	// Seed is the seed of all chances.
	Seed uint64
	// Errors is the rate of calls that fail with ErrUnavailable, nothing done.
	Errors float64
	// Lost is the rate of successful writes that are answered ErrUnavailable.
	Lost float64
	// Torn is the rate of bodies and lists that break with ErrUnavailable in
	// their middle, and of change feeds that are Lost, without a cursor.
	Torn float64
	// Delays is the rate of calls that are delayed, by up to MaxDelay.
	Delays float64
	// MaxDelay is the longest delay.
	MaxDelay time.Duration
	// StopAfterWrites, when above 0, makes every call fail with ErrClosed for
	// ever after that many writes (Put, Append, Delete, Set) were handed on.
	// It is as if the process had crashed: open the store anew to go on.
	StopAfterWrites int
}

// Counts tells how many calls of each kind were made, those included that
// were made to fail.
type Counts struct {
	// Get counts calls of Get.
	Get int
	// Put counts calls of Put, and of Set for secrets.
	Put int
	// Append counts calls of Append.
	Append int
	// Stat counts calls of Stat.
	Stat int
	// Delete counts calls of Delete.
	Delete int
	// List counts how often lists were ranged over.
	List int
	// Changes counts calls of Changes.
	Changes int
	// Writes counts Put, Append, Delete and Set that were handed on to the
	// store inside, whatever it answered.
	Writes int
	// Faults counts the errors, lost answers and torn reads injected.
	Faults int
}

// faults carries out a plan.
type faults struct {
	plan Plan

	mu      sync.Mutex
	rnd     *rand.Rand
	counts  Counts
	stopped bool
}

func newFaults(plan Plan) *faults {
	return &faults{plan: plan, rnd: rand.New(rand.NewPCG(plan.Seed, 0))}
}

// Counts gives the numbers of calls so far.
func (f *faults) Counts() Counts {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts
}

// Stop makes every later call fail with ErrClosed, like StopAfterWrites.
func (f *faults) Stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = true
}

// begin counts a call, delays it, and tells whether it must fail.
func (f *faults) begin(ctx context.Context, op, name string, count func(*Counts)) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s %q: %w", op, name, err)
	}
	f.mu.Lock()
	count(&f.counts)
	delay := time.Duration(0)
	if f.chance(f.plan.Delays) && f.plan.MaxDelay > 0 {
		delay = time.Duration(f.rnd.Int64N(int64(f.plan.MaxDelay)))
	}
	stopped, broken := f.stopped, f.chance(f.plan.Errors)
	if broken && !stopped {
		f.counts.Faults++
	}
	f.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return fmt.Errorf("%s %q: %w", op, name, ctx.Err())
		}
	}
	switch {
	case stopped:
		return stoppedError(op, name)
	case broken:
		return fmt.Errorf("%w: injected: %s %q was not done", azml.ErrUnavailable, op, name)
	}
	return nil
}

// write does a write: it may be the last one, and its answer may be lost.
func (f *faults) write(op, name string, do func() error) error {
	f.mu.Lock()
	last := f.plan.StopAfterWrites
	if f.stopped || last > 0 && f.counts.Writes == last {
		f.mu.Unlock()
		return stoppedError(op, name)
	}
	f.counts.Writes++
	lost := f.chance(f.plan.Lost)
	f.mu.Unlock()
	err := do()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = f.stopped || last > 0 && f.counts.Writes == last
	if lost && err == nil {
		f.counts.Faults++
		return fmt.Errorf("%w: injected: the answer to %s %q was lost", azml.ErrUnavailable, op, name)
	}
	return err
}

// tear tells whether to break a stream of n pieces, and after how many.
func (f *faults) tear(n int64) (after int64, torn bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n <= 0 || !f.chance(f.plan.Torn) {
		return 0, false
	}
	f.counts.Faults++
	return f.rnd.Int64N(n), true
}

// chance draws one chance. The caller holds the lock.
func (f *faults) chance(rate float64) bool { return rate > 0 && f.rnd.Float64() < rate }

func stoppedError(op, name string) error {
	return fmt.Errorf("%w: injected: stopped before %s %q", azml.ErrClosed, op, name)
}

func tornError(name string) error {
	return fmt.Errorf("%w: injected: reading %q broke", azml.ErrUnavailable, name)
}
