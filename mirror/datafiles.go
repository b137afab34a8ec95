package mirror

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/internal/core"
)

// dataUnits begins the names under which it is remembered that files of the own
// datastores are the same.
const dataUnits = "data/"

// dataFiles brings the files of the workspace's own datastore. Nobody notes who
// wrote them when, so one that differs from the destination's is a conflict.
func (s *syncer) dataFiles(ctx context.Context) error {
	src, theirs, err := ownFiles(ctx, s.src)
	if err != nil || len(theirs) == 0 {
		return s.ofSource(err)
	}
	dst, mine, err := ownFiles(ctx, s.dst)
	if err != nil {
		return s.ofDestination(err)
	}
	return each(ctx, slices.Sorted(maps.Keys(theirs)), func(ctx context.Context, path string) error {
		f := &dataFile{s: s, src: src, dst: dst, path: path}
		f.from = theirs[path]
		f.there, f.exists = mine[path]
		err := f.bring(ctx)
		if errors.Is(err, azml.ErrNotFound) { // it was deleted meanwhile
			return nil
		}
		return err
	})
}

// ownFiles lists the files of a workspace's own datastore. A folder that nothing
// was ever put into is not made.
func ownFiles(ctx context.Context, h core.Handle) (*datastore.Datastore, map[string]datastore.File, error) {
	own, err := datastore.Lookup(ctx, h, datastore.OwnName)
	if err != nil {
		return nil, nil, err
	}
	files := map[string]datastore.File{}
	if dir := own.Details().Connection["path"]; dir != "" {
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			return own, files, nil
		}
	}
	for f, err := range own.Files(ctx, "", nil) {
		if err != nil {
			return nil, nil, err
		}
		files[f.Path] = f
	}
	return own, files, nil
}

// dataFile is a file of the own datastore on its way.
type dataFile struct {
	s           *syncer
	src, dst    *datastore.Datastore
	path        string
	from, there datastore.File
	exists      bool // in the destination
}

func (f *dataFile) bring(ctx context.Context) error {
	if !f.exists {
		return f.copy(ctx, func(c *Counts) { c.DataFiles.Created++ })
	}
	if f.remembered() {
		f.s.note(func(r *Report) { r.Passed++ })
		return nil
	}
	same, err := f.same(ctx)
	if err != nil {
		return err
	}
	if same {
		f.remember()
		f.s.note(func(r *Report) { r.DataFiles.Unchanged++ })
		return nil
	}
	side := func(file datastore.File) Side {
		return Side{Modified: file.Modified, Detail: fmt.Sprintf("%d bytes", file.Size)}
	}
	c := Conflict{Kind: "data file", Name: f.path, Reason: "the two workspaces have different contents", Source: side(f.from), Destination: side(f.there)}
	choice := f.s.resolve(c)
	if choice == Source {
		now, err := f.dst.Stat(ctx, f.path, nil)
		if err != nil {
			return err
		}
		if now.ETag != f.there.ETag { // nobody has decided about that
			choice = Leave
		}
	}
	if choice == Both {
		choice = Leave
	}
	f.s.decided(c, choice)
	if choice != Source {
		return nil
	}
	return f.copy(ctx, func(c *Counts) { c.DataFiles.Updated++ })
}

// copy writes the source's file into the destination.
func (f *dataFile) copy(ctx context.Context, count func(*Counts)) error {
	if !f.s.opts.DryRun {
		r, err := f.src.Open(ctx, f.path, nil)
		if err != nil {
			return err
		}
		f.there, err = f.dst.Write(ctx, f.path, r, &datastore.WriteOptions{Overwrite: f.exists})
		err = errors.Join(err, r.Close())
		if errors.Is(err, azml.ErrExists) || errors.Is(err, azml.ErrConflict) { // the next sync compares them
			return nil
		}
		if err != nil {
			return err
		}
		f.remember()
	}
	f.s.note(func(r *Report) {
		count(&r.Counts)
		r.DataBytes += f.from.Size
	})
	return nil
}

// same tells whether both workspaces have the same bytes.
func (f *dataFile) same(ctx context.Context) (bool, error) {
	if f.from.Size != f.there.Size {
		return false, nil
	}
	theirs, err := digestOf(ctx, f.src, f.path)
	if err != nil {
		return false, err
	}
	mine, err := digestOf(ctx, f.dst, f.path)
	return theirs == mine, err
}

func digestOf(ctx context.Context, d *datastore.Datastore, path string) (sum [sha256.Size]byte, err error) {
	r, err := d.Open(ctx, path, nil)
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	_, err = io.Copy(h, r)
	h.Sum(sum[:0])
	return sum, errors.Join(err, r.Close())
}

// marks gives the marks of the file in both workspaces.
func (f *dataFile) marks() [2]mark {
	return [2]mark{markOf(f.path, f.from.ETag), markOf(f.path, f.there.ETag)}
}

func (f *dataFile) remembered() bool {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	known, ok := f.s.memory.units[dataUnits+f.path]
	return ok && known == f.marks()
}

func (f *dataFile) remember() {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if !f.s.opts.DryRun {
		f.s.memory.units[dataUnits+f.path] = f.marks()
		f.s.memory.changed = true
	}
}
