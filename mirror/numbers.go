package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// numbers gives runs their numbers in one experiment of the destination.
type numbers struct {
	s      *syncer
	series core.Series

	mu    sync.Mutex
	owner map[int]string // who has which number, as far as it was read
	all   bool           // all up to last were read
	last  int            // 0 when it is not known
}

// book gives the numbers of the experiment.
func (s *syncer) book(experiment string) *numbers {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.books[experiment]
	if b == nil {
		b = &numbers{s: s, series: history.Numbers(experiment), owner: map[int]string{}}
		s.books[experiment] = b
	}
	return b
}

// take gives the run its number: the one that it has in the source, where that is
// free or its own already, else the next. had tells that the run has had a number
// before, from a sync that was cut off or before it was deleted. Runs come by
// their numbers, so those below are taken, unless they are of runs that are not
// there any more: they are taken along when everything is synced.
func (b *numbers) take(ctx context.Context, wanted int, run string) (number int, had bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.last, err = b.series.Last(ctx, b.s.dst); err != nil {
		return 0, false, err
	}
	for {
		if wanted <= b.last {
			owner, err := b.at(ctx, wanted)
			if err != nil || owner == run {
				return wanted, true, err
			}
			if n, err := b.find(ctx, run); n > 0 || err != nil {
				return n, true, err
			}
			wanted = b.last + 1
		}
		next := b.last + 1
		if wanted > next && !b.s.whole {
			if n, err := b.find(ctx, run); n > 0 || err != nil {
				return n, true, err
			}
			wanted = next
		}
		if b.s.opts.DryRun {
			b.owner[wanted], b.last = run, max(b.last, wanted)
			return wanted, false, nil
		}
		owner := run
		if next < wanted {
			if owner, err = b.between(ctx, next); err != nil {
				return 0, false, err
			}
			if owner == "" {
				owner, wanted = run, next
			}
		}
		taken, err := b.put(ctx, next, owner)
		if err != nil {
			return 0, false, err
		}
		b.last = next
		if taken && next == wanted {
			return next, false, nil
		}
	}
}

// between gives the run that has a lower number in the source, which is to have it
// here as well, "" when it has another one here.
func (b *numbers) between(ctx context.Context, n int) (string, error) {
	there, err := core.Get[record.RunNumber](ctx, b.s.src, b.series.Key(n))
	if errors.Is(err, azml.ErrNotFound) {
		err = fmt.Errorf("%w: number %d of experiment %s is missing", azml.ErrDamaged, n, b.series.Name)
	}
	if err != nil {
		return "", err
	}
	if other, err := b.find(ctx, there.Value.RunID); other > 0 || err != nil {
		return "", err
	}
	return there.Value.RunID, nil
}

// put makes the number the run's. It tells whether it is, which somebody else may
// have been faster about.
func (b *numbers) put(ctx context.Context, n int, run string) (bool, error) {
	_, err := core.CreateQuiet(ctx, b.s.dst, b.series.Key(n), record.RunNumber{RunID: run})
	if errors.Is(err, azml.ErrExists) {
		owner, err := b.at(ctx, n)
		return owner == run, err
	}
	b.owner[n] = run
	return err == nil, err
}

// at gives the run that has the number.
func (b *numbers) at(ctx context.Context, n int) (string, error) {
	if owner, ok := b.owner[n]; ok {
		return owner, nil
	}
	there, err := core.Get[record.RunNumber](ctx, b.s.dst, b.series.Key(n))
	if err != nil {
		return "", err
	}
	b.owner[n] = there.Value.RunID
	return there.Value.RunID, nil
}

// find gives the number that the run has, 0 for none. The first time, it reads
// all numbers.
func (b *numbers) find(ctx context.Context, run string) (int, error) {
	for n := 1; n <= b.last && !b.all; n++ {
		if _, err := b.at(ctx, n); err != nil {
			return 0, err
		}
	}
	b.all = true
	for n, owner := range b.owner {
		if owner == run {
			return n, nil
		}
	}
	return 0, nil
}

// copyFixed brings a record that is written once, as it is. Errors: ErrExists when
// the destination has another one.
func copyFixed[T any, P pointer[T]](ctx context.Context, s *syncer, key string, from core.Stored[T]) error {
	_, err := s.dst.Objects().Put(ctx, key, bytes.NewReader(from.Raw()), &backend.PutOptions{IfNoneMatch: true})
	if !errors.Is(err, azml.ErrExists) {
		return err
	}
	there, readErr := core.Get[T, P](ctx, s.dst, key)
	if readErr != nil {
		return readErr
	}
	if P(&there.Value).Common().Token == P(&from.Value).Common().Token {
		return nil
	}
	return err
}
