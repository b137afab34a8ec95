package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// listTries bounds how often a listing is repeated because an index that was
// listed is gone when it is read: a collector merged it away.
const listTries = 5

// clockSlack is how much the clocks of writers may differ, and how long the
// writing of an index object may take, without others overlooking it. What is
// overlooked is stored twice by writers; readers look again.
const clockSlack = 15 * time.Minute

// indexKey gives the beginning of the keys of index objects that are written
// at a time. Keys are in order of time, and a folder holds those of 18 minutes.
func indexKey(at time.Time) string {
	text := fmt.Sprintf("%016x", max(0, at.UnixNano()))
	return indexesPrefix + text[:6] + "/" + text[6:]
}

// begin reads the condemned list, which also tells whether anything was
// deleted since it was read last. Cost: one request.
func (s *Store) begin(ctx context.Context) error {
	return s.alone(ctx, func() error {
		list, err := s.readCondemned(ctx)
		if err == nil {
			s.index.condemn(list)
		}
		return err
	})
}

// learn takes in the index objects that others have written since the last
// time. Cost: one listing of what is younger than that by clockSlack, and one
// read of each index object that is not known yet; a refresh when there was no
// last time.
func (s *Store) learn(ctx context.Context) error {
	since, ok := s.index.last()
	if !ok {
		return s.refresh(ctx)
	}
	return s.alone(ctx, func() error {
		return s.look(ctx, func() (*listing, error) {
			l := s.newListing()
			return l, s.listIndexes(ctx, l, indexKey(since.Add(-clockSlack)))
		}, s.index.extend)
	})
}

// Locate learns where chunks lie, unless something was learnt before: who is about to restore
// a manifest does it while that is read. Cost: as the first Restore's own otherwise.
func (s *Store) Locate(ctx context.Context) error {
	if _, known := s.index.last(); known {
		return nil
	}
	return s.refresh(ctx)
}

// refresh brings the index up to date with all there is: one read of the
// condemned list, listings of packs and, at once, of index objects, and one read of each
// index object that is not known yet. The order of the first two matters: what a collector has
// deleted was on its list before, and is off it only after the listing shows it
// gone.
func (s *Store) refresh(ctx context.Context) error {
	return s.alone(ctx, func() error {
		return s.look(ctx, func() (*listing, error) { return s.listAll(ctx) }, s.index.apply)
	})
}

// alone runs f while no other one looks at the store.
func (s *Store) alone(ctx context.Context, f func() error) error {
	select {
	case <-s.refreshing:
		defer func() { s.refreshing <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := f(); err != nil {
		return fmt.Errorf("read the pack indexes: %w", err)
	}
	return nil
}

// look lists, reads what is new and takes it in.
func (s *Store) look(ctx context.Context, list func() (*listing, error), take func(*listing)) error {
	for range listTries {
		l, err := list()
		if err != nil {
			return err
		}
		gone, err := s.load(ctx, l)
		if err != nil {
			return err
		}
		if !gone {
			take(l)
			return nil
		}
	}
	return fmt.Errorf("%w: they changed %d times while they were read", azml.ErrConflict, listTries)
}

func (s *Store) newListing() *listing {
	return &listing{at: s.now(), since: s.index.now(), sizes: map[packID]int64{}, loaded: map[string][]*pack{}}
}

// listAll sees all that is there.
func (s *Store) listAll(ctx context.Context) (*listing, error) {
	l := s.newListing()
	list, err := s.readCondemned(ctx)
	if err != nil {
		return nil, err
	}
	l.condemned = list
	both, within := errgroup.WithContext(ctx)
	both.Go(func() error { return s.listPacks(within, l) })
	both.Go(func() error { return s.listIndexes(within, l, "") })
	return l, both.Wait()
}

// listPacks sees the packs.
func (s *Store) listPacks(ctx context.Context, l *listing) error {
	for info, err := range s.objects.List(ctx, &backend.ListOptions{Prefix: packsPrefix}) {
		if err != nil {
			return err
		}
		if id, ok := parsePackKey(info.Key); ok {
			l.sizes[id] = info.Size
		}
	}
	return nil
}

// listIndexes sees the index objects behind a key.
func (s *Store) listIndexes(ctx context.Context, l *listing, after string) error {
	for info, err := range s.objects.List(ctx, &backend.ListOptions{Prefix: indexesPrefix, StartAfter: after}) {
		if err != nil {
			return err
		}
		if strings.HasSuffix(info.Key, indexSuffix) {
			l.files = append(l.files, info.Key)
		}
	}
	return nil
}

// load reads the index objects that are not known yet, and tells whether one
// of them is gone. One that is damaged counts as empty: its chunks are stored
// again by whoever needs them, and a collector rebuilds it from the packs.
func (s *Store) load(ctx context.Context, l *listing) (gone bool, err error) {
	var mu sync.Mutex
	work := newGroup(ctx, s.parallel)
	for _, key := range s.index.unknown(l.files) {
		_ = work.run(ctx, func(ctx context.Context) error { // wait gives the error
			packs, err := s.loadIndex(ctx, key)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, azml.ErrNotFound):
				gone = true
			case errors.Is(err, azml.ErrDamaged):
				s.log.Warn("a damaged pack index is left out", "key", key, "error", err)
			case err != nil:
				return err
			default:
				l.loaded[key] = packs
			}
			return nil
		})
	}
	return gone, work.wait()
}

// loadIndex reads an index object, from the cache where it is there and sound.
func (s *Store) loadIndex(ctx context.Context, key string) ([]*pack, error) {
	file := s.indexCache(key)
	if file != "" {
		if data, err := os.ReadFile(file); err == nil {
			if packs, err := decodeIndex(data); err == nil {
				return packs, nil
			}
		}
	}
	data, _, err := s.get(ctx, key)
	if err != nil {
		return nil, err
	}
	packs, err := decodeIndex(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	s.writeCache(file, data)
	return packs, nil
}
