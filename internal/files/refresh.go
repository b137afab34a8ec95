package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// listTries bounds how often a listing is repeated because an index that was
// listed is gone when it is read: a collector merged it away.
const listTries = 5

// refresh brings the index up to date: one read of the condemned list, one
// listing, and one read of each index object that is not known yet. The order
// matters: what a collector has deleted was on its list before, and is off it
// only after the listing shows it gone.
func (s *Store) refresh(ctx context.Context) error {
	select {
	case <-s.refreshing:
		defer func() { s.refreshing <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for range listTries {
		l, err := s.list(ctx)
		if err != nil {
			return fmt.Errorf("read the pack indexes: %w", err)
		}
		gone, err := s.load(ctx, l)
		if err != nil {
			return fmt.Errorf("read the pack indexes: %w", err)
		}
		if !gone {
			s.index.apply(l)
			return nil
		}
	}
	return fmt.Errorf("%w: the pack indexes changed %d times while they were read", azml.ErrConflict, listTries)
}

// list sees what is there.
func (s *Store) list(ctx context.Context) (*listing, error) {
	l := &listing{since: s.index.now(), sizes: map[packID]int64{}, loaded: map[string][]*pack{}}
	list, err := s.readCondemned(ctx)
	if err != nil {
		return nil, err
	}
	l.spoilt = list.Objects
	for info, err := range s.objects.List(ctx, &backend.ListOptions{Prefix: packsPrefix}) {
		if err != nil {
			return nil, err
		}
		if id, ok := parsePackKey(info.Key); ok {
			l.sizes[id] = info.Size
		} else if strings.HasSuffix(info.Key, indexSuffix) {
			l.files = append(l.files, info.Key)
		}
	}
	return l, nil
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
	file := s.cacheFile("indexes", key)
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

// cacheFile gives the path of a cached thing, empty when there is no cache.
func (s *Store) cacheFile(kind, name string) string {
	if s.cacheDir == "" {
		return ""
	}
	return filepath.Join(s.cacheDir, kind, digestOf([]byte(name)).String()[:32])
}

// writeCache replaces a cached file. A cache that can't be written is only
// said in the log.
func (s *Store) writeCache(file string, data []byte) {
	if file == "" {
		return
	}
	err := os.MkdirAll(filepath.Dir(file), 0o700)
	if err == nil {
		err = replaceFile(file, data)
	}
	if err != nil {
		s.log.Warn("the cache of file contents can't be written", "file", file, "error", err)
	}
}

// replaceFile writes a file that other processes read and replace as well.
func replaceFile(file string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), "tmp-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}
