package files

import (
	"slices"
	"sync"
	"time"

	"github.com/azml-go/azml/backend"
)

// index knows which chunk lies where. A batch or a reader that works with it
// while another one brings it up to date sees newer facts, never older ones.
type index struct {
	mu     sync.RWMutex
	loaded bool                    // whether all index objects were ever read
	seen   time.Time               // when they were listed last
	recent int                     // how many the next learn will list, about
	clock  uint64                  // counts own additions
	files  map[string]bool         // index objects that are in it
	packs  map[packID]*packState   // all packs known
	chunks map[digest]location     // the best place of each chunk
	spoilt map[string]condemnation // what a collector is going to delete, by key

	etag       backend.ETag // of the condemned list that was read last
	generation string       // of that list: what is known to be there holds for it
}

// presence is what is known of a pack's object.
type presence int

const (
	unsure presence = iota // an index object names it
	there                  // it was seen in this generation, of the right size
	gone                   // it is not there, or of another size
)

// packState is a pack and what was seen of it.
type packState struct {
	*pack
	sources []string // the index objects that name it
	born    uint64   // clock when this process wrote it, else 0
	object  presence
	doomed  bool // condemned by a collector
}

// rank orders places of the same chunk.
func (p *packState) rank() int {
	switch {
	case p.object == gone:
		return 0
	case p.doomed:
		return 1
	case p.object == unsure:
		return 2
	}
	return 3
}

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

// state is what a writer must know of a chunk's place.
type state struct {
	pack       *pack
	object     presence
	doomed     bool
	generation string // that object holds for
}

// state gives what is known of a chunk's place; its object is gone when the
// chunk has none.
func (x *index) state(d digest) state {
	x.mu.RLock()
	defer x.mu.RUnlock()
	at, ok := x.chunks[d]
	if !ok {
		return state{object: gone}
	}
	return state{pack: at.pack.pack, object: at.pack.object, doomed: at.pack.doomed, generation: x.generation}
}

// last tells when the index objects were listed last, if ever.
func (x *index) last() (time.Time, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.seen, x.loaded
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
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return x.files[name] })
}

// What looking for others' chunks may cost. A listing of n names is as dear as
// storing n times dearName bytes once more; up to freeNames it is one cheap
// request. A process that knows nothing yet would have to read every index.
const (
	freeNames  = 256
	dearName   = 1 << 10
	maxPrice   = maxChunk
	firstPrice = 64 << 10
)

// price gives the number of new bytes up to which a batch stores them without
// looking whether others have.
func (x *index) price() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	switch {
	case !x.loaded:
		return firstPrice
	case x.recent <= freeNames:
		return 0
	}
	return min(x.recent*dearName, maxPrice)
}
