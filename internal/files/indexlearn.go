package files

import (
	"slices"
	"time"
)

// add takes in packs that this process wrote and indexed itself.
func (x *index) add(name string, packs []*pack) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.clock++
	x.recent++
	x.files[name] = true
	for _, p := range packs {
		state := x.learn(name, p)
		state.born, state.object = x.clock, there
		x.put(state)
	}
}

// learn notes that an index object names the pack.
func (x *index) learn(name string, p *pack) *packState {
	state, ok := x.packs[p.id]
	if !ok {
		_, doomed := x.spoilt[p.id.key()]
		state = &packState{pack: p, doomed: doomed}
		x.packs[p.id] = state
	}
	state.sources = append(state.sources, name)
	return state
}

// put takes in the pack's chunks where they are better off with it.
func (x *index) put(p *packState) {
	var offset int64
	for _, e := range p.entries {
		old, ok := x.chunks[e.digest]
		if !ok || p.rank() > old.pack.rank() {
			x.chunks[e.digest] = location{pack: p, offset: offset, size: e.size}
		}
		offset += int64(e.size)
	}
}

// choose finds the best place of every chunk anew.
func (x *index) choose() {
	x.chunks = make(map[digest]location, len(x.chunks))
	for _, p := range x.packs {
		x.put(p)
	}
}

// condemn takes in the condemned list. With another generation something was
// deleted meanwhile, and no pack is sure to be there.
func (x *index) condemn(list *condemned) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if list.etag == x.etag {
		return
	}
	for _, p := range x.packs {
		_, p.doomed = list.Objects[p.id.key()]
		if list.Generation != x.generation && p.object == there {
			p.object = unsure
		}
	}
	x.etag, x.generation, x.spoilt = list.etag, list.Generation, list.Objects
	x.choose()
}

// confirm notes whether the object of a pack was there in a generation.
func (x *index) confirm(id packID, object presence, generation string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	p, ok := x.packs[id]
	if !ok || x.generation != generation && object == there {
		return
	}
	p.object = object
	if object == gone {
		x.choose()
	}
}

// listing is the state of the store when it was looked at, or a part of it.
type listing struct {
	at        time.Time          // when it was begun
	since     uint64             // index.clock before it was taken
	sizes     map[packID]int64   // packs that are there
	files     []string           // index objects that are there
	loaded    map[string][]*pack // those that were not known yet
	condemned *condemned
}

// extend takes in a listing of the latest index objects.
func (x *index) extend(l *listing) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.seen, x.recent = l.at, len(l.files)
	for name, packs := range l.loaded {
		x.files[name] = true
		for _, p := range packs {
			x.put(x.learn(name, p))
		}
	}
}

// apply takes in a listing of everything. What this process added after it was
// taken stays.
func (x *index) apply(l *listing) {
	x.mu.Lock()
	defer x.mu.Unlock()
	listed := map[string]bool{}
	tail := indexKey(l.at.Add(-clockSlack))
	x.recent = 0
	for _, name := range l.files {
		listed[name] = true
		if name > tail {
			x.recent++
		}
	}
	for name, packs := range l.loaded {
		for _, p := range packs {
			x.learn(name, p)
		}
	}
	for id, p := range x.packs {
		if p.born > l.since {
			for _, name := range p.sources {
				listed[name] = true
			}
			continue
		}
		p.sources = slices.DeleteFunc(p.sources, func(name string) bool { return !listed[name] })
		if len(p.sources) == 0 {
			delete(x.packs, id)
		}
		l.judge(p)
	}
	x.loaded, x.files, x.seen = true, listed, l.at
	x.etag, x.generation, x.spoilt = l.condemned.etag, l.condemned.Generation, l.condemned.Objects
	x.choose()
}

// judge sets what the listing says of the pack.
func (l *listing) judge(p *packState) {
	_, p.doomed = l.condemned.Objects[p.id.key()]
	p.object = gone
	if size, ok := l.sizes[p.id]; ok && size == p.size() {
		p.object = there
	}
}
