package files

import (
	"slices"
	"sync"
)

// index knows which chunk lies where. It only ever learns: a batch or a reader
// that works with it while another one refreshes it sees newer facts, never
// older ones.
type index struct {
	mu     sync.RWMutex
	loaded bool                    // whether it was ever refreshed
	clock  uint64                  // counts own additions
	files  map[string]bool         // index objects that are in it
	packs  map[packID]*packState   // all packs known
	chunks map[digest]location     // the best place of each chunk
	spoilt map[string]condemnation // what a collector is going to delete
}

// packState is a pack and what was seen of it at the last refresh.
type packState struct {
	*pack
	sources []string // the index objects that name it
	born    uint64   // clock when this process wrote it, else 0
	listed  bool     // its object is there, of the right size
	doomed  bool     // condemned by a collector
}

// usable tells whether a writer may count on the pack.
func (p *packState) usable() bool { return p.listed && !p.doomed }

// location is a chunk's place.
type location struct {
	pack   *packState
	offset int64
	size   uint32
}

func newIndex() *index {
	return &index{files: map[string]bool{}, packs: map[packID]*packState{}, chunks: map[digest]location{}}
}

// find gives the place of a chunk, if it has one.
func (x *index) find(d digest) (location, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	at, ok := x.chunks[d]
	return at, ok
}

// state tells whether a chunk is there, and whether writers may count on it.
func (x *index) state(d digest) (there, usable bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	at, ok := x.chunks[d]
	return ok && at.pack.listed, ok && at.pack.usable()
}

// isLoaded tells whether the index was ever refreshed.
func (x *index) isLoaded() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.loaded
}

// now gives the clock, which parts own additions before and after a moment.
func (x *index) now() uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.clock
}

// unknown gives those of the index objects that are not in the index yet.
func (x *index) unknown(names []string) []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var missing []string
	for _, name := range names {
		if !x.files[name] {
			missing = append(missing, name)
		}
	}
	return missing
}

// add takes in packs that this process wrote and indexed itself.
func (x *index) add(name string, packs []*pack) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.clock++
	x.files[name] = true
	for _, p := range packs {
		state := x.learn(name, p)
		state.born, state.listed = x.clock, true
		x.put(state)
	}
}

// learn notes that an index object names the pack.
func (x *index) learn(name string, p *pack) *packState {
	state, ok := x.packs[p.id]
	if !ok {
		state = &packState{pack: p}
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
		if !ok || rank(p) > rank(old.pack) {
			x.chunks[e.digest] = location{pack: p, offset: offset, size: e.size}
		}
		offset += int64(e.size)
	}
}

// rank orders places of the same chunk.
func rank(p *packState) int {
	switch {
	case p.usable():
		return 2
	case p.listed:
		return 1
	}
	return 0
}

// listing is the state of the store at a refresh.
type listing struct {
	since  uint64                  // index.clock before it was taken
	sizes  map[packID]int64        // packs that are there
	files  []string                // index objects that are there
	loaded map[string][]*pack      // those that were not known yet
	spoilt map[string]condemnation // by key
}

// apply takes in a listing. What this process added after it was taken stays.
func (x *index) apply(l *listing) {
	x.mu.Lock()
	defer x.mu.Unlock()
	there := map[string]bool{}
	for _, name := range l.files {
		there[name] = true
	}
	for name, packs := range l.loaded {
		for _, p := range packs {
			x.learn(name, p)
		}
	}
	for id, p := range x.packs {
		if p.born > l.since {
			for _, name := range p.sources {
				there[name] = true
			}
			continue
		}
		p.sources = slices.DeleteFunc(p.sources, func(name string) bool { return !there[name] })
		if len(p.sources) == 0 {
			delete(x.packs, id)
		}
		l.judge(p)
	}
	x.loaded, x.files, x.spoilt = true, there, l.spoilt
	x.chunks = make(map[digest]location, len(x.chunks))
	for _, p := range x.packs {
		x.put(p)
	}
}

// judge sets what the listing says of the pack.
func (l *listing) judge(p *packState) {
	size, ok := l.sizes[p.id]
	_, p.doomed = l.spoilt[p.id.key()]
	p.listed = ok && size == p.size()
}
