package scheduler

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/inorder"
	"github.com/azml-go/azml/internal/record"
)

// readers is how many entries of a queue are read at once.
const readers = 16

// queueKnown tells whether the queue was listed a moment ago, and runs wait: then a node
// that is free needs no other look before it gets one.
func (c *cluster) queueKnown() bool {
	if time.Since(c.listed) >= c.opts.Every {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.entries {
		if e.there && !c.busy[e.run.RunID] && c.ended[e.run.RunID] != e.etag {
			return true
		}
	}
	return false
}

// readQueue reads what is new in the queue: one list, and for each entry that is new a
// read, and a look for its run until that is there.
func (c *cluster) readQueue(ctx context.Context) error {
	seen := make(map[string]bool, len(c.entries))
	var unread []backend.Info
	var news []entry
	for info, err := range c.h.Objects().List(ctx, &backend.ListOptions{Prefix: compute.QueuePrefix(c.name)}) {
		if err != nil {
			return err
		}
		seen[info.Key] = true
		if e := c.entries[info.Key]; e.etag != info.ETag || !e.there {
			unread = append(unread, info)
		}
	}
	for e, err := range inorder.Map(ctx, readers, each(unread), func(info backend.Info) (entry, error) { return c.read(ctx, info) }) {
		if err != nil {
			return err
		}
		if e.run.RunID != "" {
			news = append(news, e)
		}
	}
	c.listed = time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range news {
		c.entries[compute.EntryRef(c.name, e.run.RunID).Key] = e
	}
	for key, e := range c.entries {
		if !seen[key] {
			delete(c.entries, key)
			delete(c.rest, e.run.RunID)
		}
	}
	for id, etag := range c.ended {
		if c.entries[compute.EntryRef(c.name, id).Key].etag != etag && !c.busy[id] {
			delete(c.ended, id)
		}
	}
	return ctx.Err()
}

// each gives things that can't fail to a map of those that can.
func each[T any](all []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, one := range all {
			if !yield(one, nil) {
				return
			}
		}
	}
}

// read reads an entry, unless that is known, and looks whether its run is there. It
// gives the zero entry for one that is gone. It changes nothing.
func (c *cluster) read(ctx context.Context, info backend.Info) (entry, error) {
	e := c.entries[info.Key]
	if e.etag != info.ETag {
		stored, err := core.Get[record.QueuedRun](ctx, c.h, info.Key)
		if errors.Is(err, azml.ErrNotFound) {
			return entry{}, nil
		}
		if err != nil {
			return entry{}, err
		}
		e = entry{etag: stored.ETag, run: stored.Value, queued: stored.Modified, seen: time.Now()}
	}
	there, err := c.submitted(ctx, e.run.RunID)
	e.there = there
	return e, err
}

// submitted tells whether there is a run of that ID.
func (c *cluster) submitted(ctx context.Context, id string) (bool, error) {
	_, err := c.h.Objects().Stat(ctx, history.Ref(id).Key)
	if errors.Is(err, azml.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// abandonedAfter is when an entry whose run is not there is given up: its submitter was
// ended between the two.
const abandonedAfter = 15 * time.Minute

// giveUp removes entries whose runs never came. A run that comes at the same time gets
// its entry back, from its submitter, who looks for it afterwards, or from here.
func (c *cluster) giveUp(ctx context.Context) error {
	for key, e := range c.entries {
		if e.there || time.Since(e.seen) < c.opts.abandon {
			continue
		}
		err := c.h.Objects().Delete(ctx, key, &backend.DeleteOptions{IfMatch: e.etag})
		if err != nil && !errors.Is(err, azml.ErrNotFound) && !errors.Is(err, azml.ErrConflict) {
			return err
		}
		c.mu.Lock()
		delete(c.entries, key)
		c.mu.Unlock()
		c.h.Logger().Warn("a run that was queued was never submitted", "cluster", c.name, "run", e.run.RunID)
		there, err := c.submitted(ctx, e.run.RunID)
		if there || err != nil { // an entry too many is given up again
			if _, againErr := core.CreateQuiet(ctx, c.h, key, e.run); againErr != nil && !errors.Is(againErr, azml.ErrExists) {
				err = errors.Join(err, againErr)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
