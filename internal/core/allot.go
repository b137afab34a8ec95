package core

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/azml-go/azml"
)

// A Series is a run of records numbered from 1 without gaps. A number is taken
// by creating its record, and only ever in order, so that "number n exists" is
// true up to the highest one and false above: the highest is found by a search
// and needs no counter that could disagree. Records of a series are never
// removed; one that is deleted leaves a record behind that says so.
type Series struct {
	// Kind is the kind of resource, for errors and the audit log.
	Kind string
	// Name is the name that the numbers belong to; "<name>:<n>" is one of them.
	Name string
	// Prefix is where the records are: "<prefix><n, 10 digits>.json".
	Prefix string
}

// Ref gives the reference of number n.
func (s Series) Ref(n int) Ref {
	return Ref{Kind: s.Kind, Name: fmt.Sprintf("%s:%d", s.Name, n), Key: s.Key(n)}
}

// Key gives the key of number n. Ten digits make byte order the order of
// numbers.
func (s Series) Key(n int) string { return fmt.Sprintf("%s%010d.json", s.Prefix, n) }

// Last gives the highest number taken, 0 when there is none. It asks the
// store about 2·log2(n) times the first time, and about twice afterwards.
func (s Series) Last(ctx context.Context, h Handle) (int, error) {
	low := h.lastSeen(s.Prefix)
	step := 1
	for { // gallop: low is taken (or 0)
		taken, err := s.taken(ctx, h, low+step)
		if err != nil {
			return 0, err
		}
		if !taken {
			break
		}
		low += step
		step *= 2
	}
	for high := low + step; high-low > 1; { // high is free
		middle := (low + high) / 2
		taken, err := s.taken(ctx, h, middle)
		if err != nil {
			return 0, err
		}
		if taken {
			low = middle
		} else {
			high = middle
		}
	}
	h.sawLast(s.Prefix, low)
	return low, nil
}

func (s Series) taken(ctx context.Context, h Handle, n int) (bool, error) {
	_, err := h.Objects().Stat(ctx, s.Key(n))
	if errors.Is(err, azml.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Allot creates the record that fill gives for the next free number. fill may
// be called again with a higher number when others are faster; its error ends
// the attempt and nothing was taken. With audit, the creation leaves an audit
// line. Of one process, one caller at a time takes a number of a series: those
// who would lose the race for it wait for their turn.
func Allot[T any, P pointer[T]](ctx context.Context, h Handle, s Series, audit bool, fill func(n int) (T, error)) (int, Stored[T], error) {
	return AllotAfter[T, P](ctx, h, s, audit, Ready, fill)
}

// Ready waits for nothing.
func Ready() error { return nil }

// AllotAfter is Allot of a record before which something else must last that is
// being made: ready waits for that, each time that it is called, and when it fails,
// nothing was taken.
func AllotAfter[T any, P pointer[T]](ctx context.Context, h Handle, s Series, audit bool, ready func() error, fill func(n int) (T, error)) (int, Stored[T], error) {
	t, err := h.turn(ctx, s.Prefix)
	if err != nil {
		return 0, Stored[T]{}, err
	}
	defer h.leave(s.Prefix, t)
	defer t.pass()
	if err := t.last.over(ctx); err != nil { // whether it was taken is asked of the store
		return 0, Stored[T]{}, err
	}
	last, err := s.Last(ctx, h)
	if err != nil {
		return 0, Stored[T]{}, err
	}
	var begun *event
	told := func() (*event, error) { return begun, nil }
	for n := last + 1; ; n++ {
		value, err := fill(n)
		if err != nil {
			return 0, Stored[T]{}, begun.end(ctx, err)
		}
		if audit {
			told = h.telling(ctx, begun, "create", s.Ref(n))
		}
		stored, err := create[T, P](ctx, h, s.Key(n), value, func() error {
			_, failed := told()
			return errors.Join(failed, ready())
		})
		var failed error
		if begun, failed = told(); failed != nil {
			return 0, Stored[T]{}, failed
		}
		if failed = ready(); failed != nil {
			return 0, Stored[T]{}, begun.end(ctx, failed)
		}
		if err == nil {
			h.sawLast(s.Prefix, n)
			return n, stored, begun.end(ctx, nil)
		}
		if !errors.Is(err, azml.ErrExists) {
			return 0, Stored[T]{}, begun.end(ctx, err)
		}
	}
}

// Take begins to take the next free number for the record that is going to be
// there, and gives it before it is taken. taken waits for that, each time that it
// is called, and gives ErrExists when another process was faster: then it must be
// begun anew. Who needs the number for another record makes that meanwhile. Within a
// process, the record of a number is made ready while the one before gets there,
// and seen when that one lasts, so that no crash leaves a gap.
func Take[T any, P pointer[T]](ctx context.Context, h Handle, s Series, value T) (n int, taken func() error, err error) {
	t, err := h.turn(ctx, s.Prefix)
	if err != nil {
		return 0, nil, err
	}
	before := t.last
	if before.going() {
		n = before.n
	} else if n, err = s.Last(ctx, h); err != nil {
		t.pass()
		h.leave(s.Prefix, t)
		return 0, nil, err
	} else {
		before = nil
	}
	own := &taking{n: n + 1, ended: make(chan struct{})}
	t.last = own
	go func() {
		defer close(own.ended)
		defer h.leave(s.Prefix, t)
		pass := sync.OnceFunc(t.pass)
		defer pass()
		_, own.err = create[T, P](ctx, h, s.Key(own.n), value, func() error {
			pass()
			if err := before.over(ctx); err != nil {
				return err
			}
			if before.wait() != nil {
				return fmt.Errorf("%w: nobody knows whether the number before was taken", azml.ErrExists)
			}
			return nil
		})
		if own.err == nil {
			h.sawLast(s.Prefix, own.n)
		}
	}()
	return own.n, own.wait, nil
}

// taking is a number that is being taken, nil for none.
type taking struct {
	n     int
	ended chan struct{}
	err   error // when it has ended
}

// over waits until it is known whether the number was taken. Its error is that of ctx.
func (t *taking) over(ctx context.Context) error {
	if t == nil {
		return nil
	}
	select {
	case <-t.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for a number: %w", context.Cause(ctx))
	}
}

// wait waits until the number was taken, or not.
func (t *taking) wait() error {
	if t == nil {
		return nil
	}
	<-t.ended
	return t.err
}

func (t *taking) going() bool {
	if t == nil {
		return false
	}
	select {
	case <-t.ended:
		return false
	default:
		return true
	}
}

// turn is whose turn it is to take a number of a series.
type turn struct {
	mine  chan struct{}
	users int     // who has it, waits for it, or is not done after passing it on
	last  *taking // of those who passed it on; belongs to who has it
}

// pass gives the turn to the next one.
func (t *turn) pass() { <-t.mine }

// turn waits for the caller's turn in a series, which lasts until it is passed. Who
// is done with the series leaves it.
func (h Handle) turn(ctx context.Context, prefix string) (*turn, error) {
	h.s.mu.Lock()
	t := h.s.turns[prefix]
	if t == nil {
		t = &turn{mine: make(chan struct{}, 1)}
		h.s.turns[prefix] = t
	}
	t.users++
	h.s.mu.Unlock()
	select {
	case t.mine <- struct{}{}:
		return t, nil
	case <-ctx.Done():
		h.leave(prefix, t)
		return nil, fmt.Errorf("waiting for a number: %w", context.Cause(ctx))
	}
}

func (h Handle) leave(prefix string, t *turn) {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(h.s.turns, prefix)
	}
}

// Numbers yields the records of the series from the highest number down. Of a
// series that is deleted with what it belongs to, from its end, it yields what is
// left.
func Numbers[T any, P pointer[T]](ctx context.Context, h Handle, s Series) iter.Seq2[Stored[T], error] {
	return func(yield func(Stored[T], error) bool) {
		last, err := s.Last(ctx, h)
		if err != nil {
			yield(Stored[T]{}, err)
			return
		}
		for n := last; n > 0; n-- {
			stored, err := Get[T, P](ctx, h, s.Key(n))
			if errors.Is(err, azml.ErrNotFound) {
				h.forgetLast(s.Prefix)
				if left, lastErr := s.Last(ctx, h); lastErr == nil && left < n {
					n = left + 1
					continue
				}
			}
			if !yield(stored, err) || err != nil {
				return
			}
		}
	}
}

// LastSeen gives the highest number that this process has seen taken, 0 when it
// has seen none. It asks nobody.
func (s Series) LastSeen(h Handle) int { return h.lastSeen(s.Prefix) }

func (h Handle) lastSeen(prefix string) int {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	return h.s.last[prefix]
}

func (h Handle) forgetLast(prefix string) {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	delete(h.s.last, prefix)
}

func (h Handle) sawLast(prefix string, n int) {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	h.s.last[prefix] = max(h.s.last[prefix], n)
}
