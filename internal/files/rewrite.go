package files

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// When index objects are merged: at least manyIndexes of less than smallIndex.
const (
	smallIndex  = 1 << 20
	manyIndexes = 16
)

// rewrite copies the living chunks of the picked packs into new ones. Only when
// those are durable and indexed are the old ones condemned. A pack with a
// damaged chunk stays as it is.
func (c *collector) rewrite(ctx context.Context) error {
	if len(c.moved) == 0 {
		return nil
	}
	var wanted []want
	home := map[digest]packID{}
	for id := range c.moved {
		for _, w := range c.packs[id].chosen {
			wanted = append(wanted, w)
			home[w.digest] = id
		}
	}
	b := c.s.newBatch(ctx, BatchOptions{})
	defer b.Abort()
	var mu sync.Mutex
	err := c.s.fetch(ctx, wanted, func(w want, data []byte, err error) error {
		if err == nil {
			return b.put(w.digest, data, true)
		}
		c.s.log.Warn("a pack is not rewritten, for it is damaged", "pack", home[w.digest].key(), "error", err)
		mu.Lock()
		defer mu.Unlock()
		delete(c.moved, home[w.digest])
		return nil
	})
	if err == nil {
		err = b.flush(ctx)
	}
	if err != nil {
		return fmt.Errorf("rewrite packs: %w", err)
	}
	c.report.Rewritten = len(c.moved)
	return nil
}

// reindex writes one new index in place of those that name packs that are due,
// that are damaged, or that are many and small, and for packs that were in no
// index. It goes before the deletion of packs, so that no index promises what
// is gone.
func (c *collector) reindex(ctx context.Context) error {
	known := c.s.index.known()
	replaced := c.replaceable(known)
	packs := slices.DeleteFunc(slices.Clone(c.fixed), func(p *pack) bool { return c.due[p.id.key()] })
	for _, p := range known {
		if slices.ContainsFunc(p.sources, func(key string) bool { return replaced[key] }) && !c.forgettable(p) {
			packs = append(packs, p.pack)
		}
	}
	if len(packs) > 0 {
		if err := c.s.writeIndex(ctx, packs); err != nil {
			return err
		}
	}
	for key := range replaced {
		if err := c.s.objects.Delete(ctx, key, &backend.DeleteOptions{}); err != nil && !errors.Is(err, azml.ErrNotFound) {
			return fmt.Errorf("delete a replaced index: %w", err)
		}
	}
	return nil
}

// replaceable gives the index objects to be replaced.
func (c *collector) replaceable(known []packState) map[string]bool {
	replaced, readable := map[string]bool{}, map[string]bool{}
	for _, p := range known {
		for _, key := range p.sources {
			readable[key] = true
			if c.due[p.id.key()] {
				replaced[key] = true
			}
		}
	}
	var small []string
	for key, info := range c.there.indexes {
		if !c.old(info.Modified) {
			continue
		}
		if !readable[key] {
			replaced[key] = true // damaged, or it has become empty
		} else if info.Size < smallIndex {
			small = append(small, key)
		}
	}
	if len(small) >= manyIndexes {
		for _, key := range small {
			replaced[key] = true
		}
	}
	return replaced
}

// forgettable tells whether the pack is due, or has been gone for so long that
// the listing can't just have missed it.
func (c *collector) forgettable(p packState) bool {
	if c.due[p.id.key()] {
		return true
	}
	if _, ok := c.there.packs[p.id.key()]; ok || p.object != gone {
		return false
	}
	return !slices.ContainsFunc(p.sources, func(key string) bool {
		info, ok := c.there.indexes[key]
		return !ok || !c.old(info.Modified)
	})
}
