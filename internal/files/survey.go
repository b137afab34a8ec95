package files

import (
	"context"

	"github.com/azml-go/azml/backend"
)

// When packs are rewritten: less than half of their content is in use, or there
// are at least manySmall of less than smallPack, which cost a request each.
const (
	smallPack = packTarget / 4
	manySmall = 16
)

// packHolder is a pack as the collector sees it.
type packHolder struct {
	*pack
	info   backend.Info
	doomed bool  // it was condemned by an earlier run
	alive  int64 // bytes in use, also those that lie in another pack as well
	needed bool  // it is the chosen place of a chunk in use
	chosen []want
}

// survey finds all packs, chooses a place for each chunk in use, and which
// packs to rewrite. Packs that no index names are read themselves: their
// writer has not finished or died, or their index is lost.
func (c *collector) survey(ctx context.Context) error {
	if err := c.s.refresh(ctx); err != nil {
		return err
	}
	for _, p := range c.s.index.known() {
		c.hold(p.pack)
	}
	for key, info := range c.there.packs {
		id, _ := parsePackKey(key)
		if _, ok := c.packs[id]; ok {
			continue
		}
		p, err := c.s.readDirectory(ctx, info)
		if err != nil && !isDamage(err) {
			return err
		}
		if err != nil {
			c.s.log.Warn("a pack in no index can't be read and is left alone", "key", key, "error", err)
			continue
		}
		c.hold(p)
		c.fixed = append(c.fixed, p)
	}
	c.choose()
	c.pick()
	return nil
}

// hold takes a pack into account, if it is there.
func (c *collector) hold(p *pack) {
	info, ok := c.there.packs[p.id.key()]
	if !ok || info.Size != p.size() {
		return
	}
	h := &packHolder{pack: p, info: info}
	entry, ok := c.list.Objects[info.Key]
	h.doomed = ok && entry.ETag == info.ETag
	for _, e := range p.entries {
		if _, ok := c.live[e.digest]; ok {
			h.alive += int64(e.size)
		}
	}
	c.packs[p.id] = h
}

// choose finds the best place of every chunk in use: in a pack that is not
// condemned, and of those in the one that is used most.
func (c *collector) choose() {
	places := map[digest]*packHolder{}
	sizes := map[digest]uint32{}
	for _, h := range c.packs {
		for _, e := range h.entries {
			if _, ok := c.live[e.digest]; !ok {
				continue
			}
			if old := places[e.digest]; old == nil || h.better(old) {
				places[e.digest] = h
				sizes[e.digest] = e.size
			}
		}
	}
	for d, h := range places {
		h.needed = true
		h.chosen = append(h.chosen, want{d, int64(sizes[d])})
	}
	c.report.Missing = len(c.live) - len(places)
}

func (h *packHolder) better(old *packHolder) bool {
	if h.doomed != old.doomed {
		return old.doomed
	}
	mine, its := h.alive*old.content(), old.alive*h.content() // compares the shares in use
	if mine != its {
		return mine > its
	}
	return h.id.String() < old.id.String()
}

// pick selects the packs to rewrite.
func (c *collector) pick() {
	var small []packID
	for id, h := range c.packs {
		switch {
		case !h.needed || !c.old(h.info.Modified):
		case h.live()*2 < h.content():
			c.moved[id] = true
		case h.content() < smallPack:
			small = append(small, id)
		}
	}
	if len(small) >= manySmall {
		for _, id := range small {
			c.moved[id] = true
		}
	}
	c.report.Rewritten = len(c.moved)
}

// live gives the bytes that are in use and chosen to stay here.
func (h *packHolder) live() int64 {
	var n int64
	for _, w := range h.chosen {
		n += w.size
	}
	return n
}
