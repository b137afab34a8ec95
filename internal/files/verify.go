package files

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/azml-go/azml"
)

// VerifyOptions are the options of Store.Verify.
type VerifyOptions struct {
	// Deep reads every chunk in use and checks its digest, and the directory of
	// every pack. Default: only what is there and of which size is compared.
	Deep bool
	// Progress, when not nil, is told the number of chunks that a deep check
	// has read. It is called by one goroutine at a time.
	Progress func(chunks int)
}

// Damage is one thing that is not as it must be.
type Damage struct {
	// Key is the key of the object, or the digest of the chunk.
	Key string
	// Err says what is wrong; it wraps ErrDamaged, ErrNotFound or ErrInvalid.
	Err error
	// Files lists what is affected, as "manifest:path", sorted. It is empty
	// when no file in use is.
	Files []string
}

// VerifyReport is the result of Store.Verify.
type VerifyReport struct {
	// Damages lists what is wrong, in order of keys. Empty means sound.
	Damages []Damage
	// Unreferenced lists the keys of manifests and packs that nothing in use
	// needs, and of objects that do not belong there, sorted. That is no
	// damage: Collect removes those that it knows.
	Unreferenced []string
	// Manifests is the number of manifests in use.
	Manifests int
	// Chunks is the number of different chunks in use.
	Chunks int
	// Bytes is their size.
	Bytes int64
}

// Verify checks everything that the manifests of roots (their IDs) need, and
// lists what nothing needs. Damage is in the report and no error; errors are
// those of roots and of a store that can't be read. Cost: one request for each
// manifest and index; with Deep all packs are read.
func (s *Store) Verify(ctx context.Context, roots iter.Seq2[string, error], opts *VerifyOptions) (*VerifyReport, error) {
	v := &verifier{s: s, report: &VerifyReport{}, owners: map[digest][]string{}, sizes: map[digest]int64{}}
	if opts == nil {
		opts = &VerifyOptions{}
	}
	if err := v.run(ctx, roots, opts); err != nil {
		return nil, fmt.Errorf("verify files: %w", err)
	}
	slices.Sort(v.report.Unreferenced)
	slices.SortFunc(v.report.Damages, func(a, b Damage) int { return cmp.Compare(a.Key, b.Key) })
	return v.report, nil
}

// verifier is one verification.
type verifier struct {
	s      *Store
	report *VerifyReport
	owners map[digest][]string // files that have the chunk
	sizes  map[digest]int64
	mu     sync.Mutex
	read   int // chunks that were read
}

func (v *verifier) run(ctx context.Context, roots iter.Seq2[string, error], opts *VerifyOptions) error {
	there, err := v.s.inventory(ctx)
	if err != nil {
		return err
	}
	if err := v.mark(ctx, roots, there); err != nil {
		return err
	}
	if err := v.s.refresh(ctx); err != nil {
		return err
	}
	if err := v.checkIndexes(ctx, there); err != nil {
		return err
	}
	if err := v.checkPacks(ctx, there, opts.Deep); err != nil {
		return err
	}
	wanted := v.checkPlaces()
	if opts.Deep {
		return v.s.fetch(ctx, wanted, func(w want, _ []byte, err error) error {
			v.tell(opts.Progress)
			if err != nil {
				v.damaged(w.digest.String(), err, v.owners[w.digest])
			}
			return nil
		})
	}
	return nil
}

// mark reads all manifests in use.
func (v *verifier) mark(ctx context.Context, roots iter.Seq2[string, error], there *inventory) error {
	unused := maps.Clone(there.manifests)
	for root, err := range v.s.reached(ctx, roots) {
		if err != nil {
			return err
		}
		key := manifestKey(root.id)
		delete(unused, key)
		v.report.Manifests++
		if root.err != nil {
			if !isDamage(root.err) {
				return root.err
			}
			v.damaged(key, root.err, []string{root.id + ":"})
			continue
		}
		v.own(root)
	}
	v.report.Unreferenced = append(v.report.Unreferenced, slices.Collect(maps.Keys(unused))...)
	v.report.Unreferenced = append(v.report.Unreferenced, there.others...)
	return nil
}

// own notes which chunks a manifest needs.
func (v *verifier) own(root rootManifest) {
	for _, f := range root.m.Files {
		for _, c := range f.Chunks {
			d, _ := parseDigest(c.Digest) // validated when it was read
			if _, ok := v.sizes[d]; !ok {
				v.sizes[d] = c.Size
				v.report.Chunks++
				v.report.Bytes += c.Size
			}
			if names := v.owners[d]; len(names) == 0 || names[len(names)-1] != root.id+":"+f.Path {
				v.owners[d] = append(names, root.id+":"+f.Path)
			}
		}
	}
}

// checkIndexes reads all index objects, past every cache.
func (v *verifier) checkIndexes(ctx context.Context, there *inventory) error {
	for key := range there.indexes {
		data, _, err := v.s.get(ctx, key)
		if err == nil {
			_, err = decodeIndex(data)
		}
		if err != nil && !isDamage(err) {
			return err
		}
		if err != nil {
			v.damaged(key, err, nil)
		}
	}
	return nil
}

// checkPacks compares the packs with the index and, if deep, with their own
// directories.
func (v *verifier) checkPacks(ctx context.Context, there *inventory, deep bool) error {
	unused := maps.Clone(there.packs)
	indexed := map[string]*pack{}
	for _, p := range v.s.index.known() {
		indexed[p.id.key()] = p.pack
		for _, e := range p.entries {
			if _, ok := v.sizes[e.digest]; ok {
				delete(unused, p.id.key())
			}
		}
	}
	v.report.Unreferenced = append(v.report.Unreferenced, slices.Collect(maps.Keys(unused))...)
	for key, info := range there.packs {
		var err error
		p, ok := indexed[key]
		switch {
		case ok && p.size() != info.Size:
			err = fmt.Errorf("%w: %s has %d bytes, its index says %d", azml.ErrDamaged, key, info.Size, p.size())
		case deep || !ok:
			_, err = v.s.readDirectory(ctx, info)
		}
		if err != nil && !isDamage(err) {
			return err
		}
		if err != nil {
			v.damaged(key, err, nil)
		}
	}
	return nil
}

// checkPlaces looks up every chunk in use and gives those that are there.
func (v *verifier) checkPlaces() (wanted []want) {
	for d, size := range v.sizes {
		at, ok := v.s.index.find(d)
		switch {
		case !ok || v.s.index.state(d).object != there:
			v.damaged(d.String(), fmt.Errorf("%w: chunk %s is missing", azml.ErrDamaged, d), v.owners[d])
		case int64(at.size) != size:
			v.damaged(d.String(), fmt.Errorf("%w: chunk %s has %d bytes, not %d", azml.ErrDamaged, d, at.size, size), v.owners[d])
		default:
			wanted = append(wanted, want{d, size})
		}
	}
	return wanted
}

// tell tells of one more chunk that was read.
func (v *verifier) tell(progress func(chunks int)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.read++; progress != nil {
		progress(v.read)
	}
}

func (v *verifier) damaged(key string, err error, files []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	slices.Sort(files)
	v.report.Damages = append(v.report.Damages, Damage{Key: key, Err: err, Files: files})
}
