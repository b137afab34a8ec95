package files

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// CollectOptions are the options of Store.Collect.
type CollectOptions struct {
	// Exclusive says that no other process or goroutine writes to the store
	// now: what nothing reaches is deleted at once, without the grace period.
	Exclusive bool
	// DryRun changes nothing and reports what would be done.
	DryRun bool
}

// Report tells what Store.Collect did, or with DryRun would do.
type Report struct {
	// Live is the number of chunks in use, each counted once.
	Live int
	// LiveBytes is their size.
	LiveBytes int64
	// Condemned is the number of objects that await their deletion.
	Condemned int
	// Deleted is the number of manifests and packs that were deleted.
	Deleted int
	// Freed is the size of what was deleted, in bytes.
	Freed int64
	// Rewritten is the number of packs, mostly dead or small, whose living
	// chunks were moved into new packs.
	Rewritten int
	// Missing is the number of chunks in use that lie nowhere. Verify tells
	// which files that affects.
	Missing int
}

// collector is one run of Collect.
type collector struct {
	s      *Store
	opts   CollectOptions
	now    time.Time
	grace  time.Duration
	report Report

	list  *condemned
	there *inventory
	live  map[digest]struct{}    // chunks in use
	used  map[string]bool        // keys of manifests in use
	packs map[packID]*packHolder // packs that are there and readable
	fixed []*pack                // packs that were in no index
	moved map[packID]bool        // packs to be rewritten
	due   map[string]bool        // keys to be deleted in this run
}

// Collect removes what the manifests of roots (their IDs) do not reach. It is
// safe beside writers: an object that nothing reaches, and that is older than
// the grace period, is first condemned, and deleted by a later run, a grace
// period after that, if still nothing reaches it and nobody wrote it again.
// Packs that are mostly dead, and many small ones, are rewritten; readers
// notice nothing. A run that is stopped at any moment loses nothing, and the
// next one finishes. Errors: those of roots and of the manifests, before
// anything is changed; ErrConflict when another collector is at work.
func (s *Store) Collect(ctx context.Context, roots iter.Seq2[string, error], opts *CollectOptions) (Report, error) {
	c := &collector{s: s, now: s.now(), grace: s.grace, live: map[digest]struct{}{}, used: map[string]bool{},
		packs: map[packID]*packHolder{}, moved: map[packID]bool{}, due: map[string]bool{}}
	if opts != nil {
		c.opts = *opts
	}
	if c.opts.Exclusive {
		c.grace = 0
	}
	if err := c.run(ctx, roots); err != nil {
		return Report{}, fmt.Errorf("collect files: %w", err)
	}
	return c.report, nil
}

func (c *collector) run(ctx context.Context, roots iter.Seq2[string, error]) (err error) {
	if c.list, err = c.s.readCondemned(ctx); err != nil {
		return err
	}
	if c.there, err = c.s.inventory(ctx); err != nil {
		return err
	}
	if err := c.mark(ctx, roots); err != nil {
		return err
	}
	if err := c.survey(ctx); err != nil {
		return err
	}
	if !c.opts.DryRun {
		if err := c.rewrite(ctx); err != nil {
			return err
		}
	}
	before := len(c.list.Objects)
	changed := c.judge() || before != len(c.list.Objects) || len(c.due) > 0
	if c.opts.DryRun {
		return nil
	}
	if changed { // with something due it proves that no other collector is ahead
		if err := c.s.writeCondemned(ctx, c.list); err != nil {
			return err
		}
	}
	if err := c.reindex(ctx); err != nil {
		return err
	}
	return c.sweep(ctx)
}

// mark finds the manifests and chunks in use.
func (c *collector) mark(ctx context.Context, roots iter.Seq2[string, error]) error {
	for root, err := range c.s.reached(ctx, roots) {
		if err == nil {
			err = root.err
		}
		if err != nil {
			return err
		}
		c.used[manifestKey(root.id)] = true
		for _, f := range root.m.Files {
			for _, chunk := range f.Chunks {
				d, _ := parseDigest(chunk.Digest) // validated when it was read
				if _, ok := c.live[d]; !ok {
					c.live[d] = struct{}{}
					c.report.Live++
					c.report.LiveBytes += chunk.Size
				}
			}
		}
	}
	return nil
}

// judge brings the condemned list up to date and finds what is due. It tells
// whether the list changed.
func (c *collector) judge() (changed bool) {
	next := map[string]condemnation{}
	consider := func(info backend.Info, needed bool) {
		if needed || !c.old(info.Modified) {
			return
		}
		entry, ok := c.list.Objects[info.Key]
		if !ok || entry.ETag != info.ETag {
			entry, changed = condemnation{ETag: info.ETag}, true
		}
		next[info.Key] = entry
		if c.opts.Exclusive || !entry.Since.IsZero() && c.now.Sub(entry.Since) >= c.grace {
			c.due[info.Key] = true
			c.report.Deleted++
			c.report.Freed += info.Size
		}
	}
	for key, info := range c.there.manifests {
		consider(info, c.used[key])
	}
	for _, p := range c.packs {
		consider(p.info, p.needed && !c.moved[p.id])
	}
	c.list.replace(next)
	c.report.Condemned = len(next) - len(c.due)
	return changed
}

// old tells whether a time is a grace period ago.
func (c *collector) old(t time.Time) bool {
	return c.opts.Exclusive || c.now.Sub(t) >= c.grace
}

// sweep deletes what is due and then takes it off the list.
func (c *collector) sweep(ctx context.Context) error {
	if len(c.due) == 0 {
		return nil
	}
	rest := maps.Clone(c.list.Objects)
	for key := range c.due {
		err := c.s.objects.Delete(ctx, key, &backend.DeleteOptions{IfMatch: c.list.Objects[key].ETag})
		if errors.Is(err, azml.ErrConflict) {
			c.s.log.Info("a condemned object was written again and lives", "key", key)
			c.report.Deleted--
		} else if err != nil && !errors.Is(err, azml.ErrNotFound) {
			return fmt.Errorf("delete %s: %w", key, err)
		}
		delete(rest, key)
	}
	c.list.replace(rest)
	if err := c.s.writeCondemned(ctx, c.list); err != nil && !errors.Is(err, azml.ErrConflict) {
		return err
	}
	return c.s.refresh(ctx)
}
