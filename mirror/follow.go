package mirror

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// FollowOptions are the options of Follow.
type FollowOptions struct {
	Options
	// Every is the time between two looks: by default a second where the source
	// tells what has changed, else ten, since everything must be listed then.
	Every time.Duration
	// Passed, when not nil, is called after each pass that did something or found
	// something, with its report alone, and with the error of one that failed.
	Passed func(*Report, error)
}

// The times of Follow.
const (
	everyChange  = time.Second
	everyListing = 10 * time.Second
	longestPause = time.Minute
	// dataEvery is how often the files of the own datastores are compared, which
	// no feed tells of.
	dataEvery = time.Minute
	// everythingEvery is how often everything is compared although the source
	// tells what has changed.
	everythingEvery = time.Hour
)

// follower is one Follow at work.
type follower struct {
	s      *syncer
	every  time.Duration
	passed func(*Report, error)
	empty  Report // to begin with

	feeds    bool // the source tells what has changed
	cursor   string
	known    map[string]mark // of the source, where it does not
	compared time.Time       // when everything was, zero for never
	open     map[string]bool // units for which something is left to do
	looked   time.Time       // when they were looked at
	data     time.Time       // when the files of the own datastore were compared
	told     string          // the conflicts and damages that were told of
}

func (f *follower) run(ctx context.Context) error {
	defer f.s.memorize(context.WithoutCancel(ctx))
	pause := time.Duration(0)
	for {
		err := f.pass(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			pause = f.pause()
		case errors.Is(err, azml.ErrUnavailable) || errors.Is(err, azml.ErrConflict):
			f.compared = time.Time{} // how much of it was done is not known
			pause = min(max(2*pause, time.Second), longestPause)
		default:
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// pause is the time until the next look.
func (f *follower) pause() time.Duration {
	switch {
	case f.every > 0:
		return f.every
	case f.feeds:
		return everyChange
	}
	return everyListing
}

// pass does what there is to be done, and tells of it unless that is nothing new.
func (f *follower) pass(ctx context.Context) error {
	f.s.begin(f.empty)
	err := f.look(ctx)
	if err == nil && f.s.whole && time.Since(f.data) > dataEvery {
		f.data = time.Now()
		err = f.s.dataFiles(ctx)
	}
	err = f.s.ofSide(err)
	report := f.s.result()
	trouble := fmt.Sprint(report.Conflicts, report.Damaged)
	news := err != nil || report.Changes() > 0 || report.Bytes() > 0 || len(report.Conflicts)+len(report.Damaged) > 0 && trouble != f.told
	if ctx.Err() == nil && news {
		f.told = trouble
		f.passed(report, err)
	}
	return err
}

// look looks what has changed and brings it.
func (f *follower) look(ctx context.Context) error {
	changes, err := f.changes(ctx)
	if err != nil {
		return err
	}
	if f.compared.IsZero() || f.feeds && changes.Lost || time.Since(f.compared) > everythingEvery {
		begun := time.Now()
		if err := f.everything(ctx); err != nil {
			return err
		}
		f.cursor, f.compared = changes.Cursor, begun
		return nil
	}
	units := map[string]bool{}
	for _, key := range changes.Keys {
		if unit := unitOf(key); unit != "" {
			units[unit] = true
		}
	}
	if !f.feeds {
		if units, err = f.compare(ctx); err != nil {
			return err
		}
	}
	if err := f.some(ctx, units); err != nil {
		return err
	}
	f.cursor = changes.Cursor
	return nil
}

// changes asks the source what has changed, if it can tell.
func (f *follower) changes(ctx context.Context) (backend.Changes, error) {
	feed, ok := backend.As[backend.ChangeFeed](f.s.src.Objects())
	if !ok {
		return backend.Changes{}, nil
	}
	changes, err := feed.Changes(ctx, f.cursor, &backend.ChangesOptions{})
	if err != nil {
		return changes, f.s.ofSource(fmt.Errorf("what has changed: %w", err))
	}
	f.feeds = changes.Cursor != ""
	return changes, nil
}

// compare lists the source and gives what is not as it was.
func (f *follower) compare(ctx context.Context) (map[string]bool, error) {
	now, err := survey(ctx, f.s.src)
	if err != nil {
		return nil, err
	}
	units := map[string]bool{}
	for unit, m := range now {
		if before, ok := f.known[unit]; !ok || before != m {
			units[unit] = true
		}
	}
	for unit := range f.known {
		if _, there := now[unit]; !there {
			units[unit] = true
		}
	}
	f.known = now
	return units, nil
}

// everything syncs as Sync does.
func (f *follower) everything(ctx context.Context) error {
	theirs, mine, err := f.s.survey(ctx)
	if err != nil {
		return err
	}
	f.known = theirs
	todo, err := f.s.todo(ctx, theirs, mine)
	if err == nil {
		err = f.s.units(ctx, todo, theirs, mine)
	}
	if err == nil {
		err = f.s.secrets(ctx)
	}
	f.keepOpen(todo)
	f.s.memorize(ctx)
	return err
}

// openEvery is how often units are looked at for which something is left to do
// though they have not changed: runs whose process may be gone by now, conflicts.
const openEvery = 30 * time.Second

// some brings the units that were touched, and now and then those that are open.
func (f *follower) some(ctx context.Context, units map[string]bool) error {
	if time.Since(f.looked) > openEvery {
		f.looked = time.Now()
		for unit := range f.open {
			units[unit] = true
		}
	}
	todo, err := f.s.touched(ctx, units)
	if err != nil || len(todo) == 0 {
		return err
	}
	names := keysOf(todo)
	theirs, err := surveyUnits(ctx, f.s.src, names)
	if err != nil {
		return err
	}
	mine, err := surveyUnits(ctx, f.s.dst, names)
	if err != nil {
		return err
	}
	err = f.s.units(ctx, todo, theirs, mine)
	f.keepOpen(todo)
	return err
}

// keepOpen notes for which units something is left to do.
func (f *follower) keepOpen(done map[string]bool) {
	for unit := range done {
		if f.s.settled[unit] {
			delete(f.open, unit)
		} else {
			f.open[unit] = true
		}
	}
}
