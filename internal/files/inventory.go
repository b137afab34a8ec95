package files

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// inventory is what lies in the store, by key.
type inventory struct {
	manifests map[string]backend.Info
	packs     map[string]backend.Info
	indexes   map[string]backend.Info
	others    []string // whatever has no business there
}

// inventory lists the whole store.
func (s *Store) inventory(ctx context.Context) (*inventory, error) {
	v := &inventory{manifests: map[string]backend.Info{}, packs: map[string]backend.Info{}, indexes: map[string]backend.Info{}}
	for info, err := range s.objects.List(ctx, &backend.ListOptions{Prefix: manifestsPrefix}) {
		if err != nil {
			return nil, fmt.Errorf("list manifests: %w", err)
		}
		if _, err := parseDigest(manifestID(info.Key)); err != nil {
			v.others = append(v.others, info.Key)
			continue
		}
		v.manifests[info.Key] = info
	}
	for info, err := range s.objects.List(ctx, &backend.ListOptions{Prefix: packsPrefix}) {
		if err != nil {
			return nil, fmt.Errorf("list packs: %w", err)
		}
		if _, ok := parsePackKey(info.Key); ok {
			v.packs[info.Key] = info
		} else {
			v.others = append(v.others, info.Key)
		}
	}
	for info, err := range s.objects.List(ctx, &backend.ListOptions{Prefix: indexesPrefix}) {
		if err != nil {
			return nil, fmt.Errorf("list pack indexes: %w", err)
		}
		if strings.HasSuffix(info.Key, indexSuffix) {
			v.indexes[info.Key] = info
		} else {
			v.others = append(v.others, info.Key)
		}
	}
	return v, nil
}

// manifestID is the inverse of manifestKey.
func manifestID(key string) string {
	return strings.TrimSuffix(strings.TrimPrefix(key, manifestsPrefix), manifestSuffix)
}

// reached yields each root's manifest once, or why it can't be read.
func (s *Store) reached(ctx context.Context, roots iter.Seq2[string, error]) iter.Seq2[rootManifest, error] {
	return func(yield func(rootManifest, error) bool) {
		seen := map[string]bool{}
		for id, err := range roots {
			if err != nil {
				yield(rootManifest{}, fmt.Errorf("list the manifests in use: %w", err))
				return
			}
			if seen[id] {
				continue
			}
			seen[id] = true
			m, err := s.Manifest(ctx, id)
			if !yield(rootManifest{id, m, err}, nil) {
				return
			}
		}
	}
}

// rootManifest is a manifest in use, or why it can't be read.
type rootManifest struct {
	id  string
	m   *Manifest
	err error
}

// known gives all packs of the index, in order of their IDs.
func (x *index) known() []packState {
	x.mu.RLock()
	defer x.mu.RUnlock()
	all := make([]packState, 0, len(x.packs))
	for _, p := range slices.SortedFunc(maps.Values(x.packs), func(a, b *packState) int { return cmp.Compare(a.id.key(), b.id.key()) }) {
		one := *p
		one.sources = slices.Clone(p.sources)
		all = append(all, one)
	}
	return all
}

// readDirectory reads which chunks a pack says it has.
func (s *Store) readDirectory(ctx context.Context, info backend.Info) (*pack, error) {
	id, _ := parsePackKey(info.Key)
	if info.Size < int64(trailerSize) {
		return nil, fmt.Errorf("%w: %s has %d bytes", azml.ErrDamaged, info.Key, info.Size)
	}
	trailer, _, err := s.getRange(ctx, info.Key, info.Size-int64(trailerSize), int64(trailerSize))
	if err != nil {
		return nil, err
	}
	size, err := directorySize(trailer)
	if err != nil || size > info.Size {
		return nil, fmt.Errorf("%s: %w", info.Key, cmp.Or(err, fmt.Errorf("%w: directory of %d bytes", azml.ErrDamaged, size)))
	}
	dir, _, err := s.getRange(ctx, info.Key, info.Size-size, size)
	if err != nil {
		return nil, err
	}
	p, err := parseDirectory(id, dir)
	if err == nil && p.size() != info.Size {
		err = fmt.Errorf("%w: %s has %d bytes, its directory says %d", azml.ErrDamaged, info.Key, info.Size, p.size())
	}
	return p, err
}

// isDamage tells whether an error says that stored bytes are bad or missing,
// and not that the store can't be reached.
func isDamage(err error) bool {
	return errors.Is(err, azml.ErrDamaged) || errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrInvalid)
}
