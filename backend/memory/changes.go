package memory

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/azml-go/azml/backend"
)

// maxChanges is how many changes a store remembers at least, once it has had
// as many.
const maxChanges = 100_000

// feed is what changed, in order. The store's lock guards it.
type feed struct {
	id    string   // tells the cursors of one store from those of others
	first int      // the number of the first key; those before are forgotten
	keys  []string // that were written or deleted
}

// note remembers a change, and forgets the oldest half when there are many.
func (f *feed) note(key string) {
	if len(f.keys) >= 2*maxChanges {
		f.keys = slices.Clone(f.keys[maxChanges:])
		f.first += maxChanges
	}
	f.keys = append(f.keys, key)
}

// since gives the keys after a cursor, and whether the cursor is known.
func (f *feed) since(cursor string) ([]string, bool) {
	text, ok := strings.CutPrefix(cursor, f.id+"-")
	n, err := strconv.Atoi(text)
	if !ok || err != nil || n < f.first || n > f.first+len(f.keys) {
		return nil, false
	}
	return f.keys[n-f.first:], true
}

// Changes names exactly the keys that were written or deleted since, among the
// last 100,000 changes or more. Errors: none but the context's.
func (s *Objects) Changes(ctx context.Context, cursor string, opts *backend.ChangesOptions) (backend.Changes, error) {
	if err := ctx.Err(); err != nil {
		return backend.Changes{}, fmt.Errorf("changes: %w", err)
	}
	s.mu.RLock()
	all, ok := s.feed.since(cursor)
	next := fmt.Sprintf("%s-%d", s.feed.id, s.feed.first+len(s.feed.keys))
	s.mu.RUnlock()
	var keys []string // what is noted never changes, so it needs no lock
	for _, key := range all {
		if strings.HasPrefix(key, opts.Prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return backend.Changes{Keys: slices.Compact(keys), Cursor: next, Lost: !ok}, nil
}
