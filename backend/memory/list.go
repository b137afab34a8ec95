package memory

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml/backend"
)

// List yields the objects in byte order of their keys. Each step looks for the
// key after the last one, so that the store is never locked while the caller
// works.
func (s *Objects) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) {
		from := max(opts.Prefix, opts.StartAfter)
		for {
			if err := ctx.Err(); err != nil {
				yield(backend.Info{}, fmt.Errorf("list %q: %w", opts.Prefix, err))
				return
			}
			info, ok := s.next(from, opts)
			if !ok {
				return
			}
			from = info.Key + "\x00"
			if info.IsPrefix {
				from = strings.TrimSuffix(info.Key, "/") + "0" // the character after "/"
				if info.Key <= opts.StartAfter {
					continue
				}
			}
			if !yield(info, nil) {
				return
			}
		}
	}
}

// next finds the first object or common prefix whose key is not before from.
func (s *Objects) next(from string, opts *backend.ListOptions) (backend.Info, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i, found := slices.BinarySearch(s.keys, from)
	if found && opts.StartAfter != "" && from == opts.StartAfter {
		i++
	}
	if i == len(s.keys) || !strings.HasPrefix(s.keys[i], opts.Prefix) {
		return backend.Info{}, false
	}
	key := s.keys[i]
	if opts.Delimiter != "" {
		if n := strings.Index(key[len(opts.Prefix):], opts.Delimiter); n >= 0 {
			return backend.Info{Key: key[:len(opts.Prefix)+n+1], IsPrefix: true}, true
		}
	}
	return s.objects[key].info(key), true
}

// set stores a new state of the object. The caller holds the lock.
func (s *Objects) set(key string, data []byte) backend.Info {
	if i, found := slices.BinarySearch(s.keys, key); !found {
		s.keys = slices.Insert(s.keys, i, key)
	}
	o := object{data: data, etag: s.nextETag(), modified: time.Now()}
	s.objects[key] = o
	s.feed.note(key)
	return o.info(key)
}

// remove forgets the object. The caller holds the lock.
func (s *Objects) remove(key string) {
	if i, found := slices.BinarySearch(s.keys, key); found {
		s.keys = slices.Delete(s.keys, i, i+1)
	}
	delete(s.objects, key)
	s.feed.note(key)
}
