package history

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/record"
)

// FileList is a list of files that grows by parts, such as a run's. Whoever
// changes it takes the next part's number; so two writers of the same path meet
// there, and the second sees the first. What a later part says of a path
// counts. A process reads each part once.
type FileList struct {
	owner  string // for errors
	prefix string
	fixed  string // the manifest of a list that never changes, empty for others
}

// FixedFiles gives the list of the files of a manifest, which never changes.
func FixedFiles(manifest string) FileList { return FileList{fixed: manifest} }

// Fixed tells whether the list can't be changed.
func (l FileList) Fixed() bool { return l.fixed != "" }

// Series gives the series of the list's parts.
func (l FileList) Series() core.Series { return l.parts() }

func (l FileList) parts() core.Series {
	return core.Series{Kind: "files", Name: l.owner, Prefix: l.prefix}
}

// Add adds the manifest's files, whose chunks are stored: all of them or none.
// With replace, files of the same paths give way; without it they are the
// error. Errors: ErrExists naming a path that is there already; ErrInvalid when
// a file would be a folder of another.
func (l FileList) Add(ctx context.Context, h core.Handle, manifest *files.Manifest, replace bool) error {
	if len(manifest.Files) == 0 {
		return nil
	}
	id, stored, err := h.Files().BeginManifest(ctx, manifest)
	if err != nil {
		return err
	}
	return l.addAfter(ctx, h, id, manifest, stored, replace)
}

// AddBatch is Add of what the batch has, whose end it is. The part of the list is
// made while contents go out, see files.Batch.Finish, and seen when all are durable.
func (l FileList) AddBatch(ctx context.Context, h core.Handle, batch *files.Batch, replace bool) (*files.Manifest, error) {
	id, manifest, stored, err := batch.Finish(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.addAfter(ctx, h, id, manifest, stored, replace); err != nil {
		return nil, err
	}
	return manifest, nil
}

// addAfter adds the files of a manifest of this ID after all that stored waits for.
func (l FileList) addAfter(ctx context.Context, h core.Handle, id string, manifest *files.Manifest, stored func() error, replace bool) error {
	if len(manifest.Files) == 0 {
		return stored()
	}
	part := record.Files{Manifest: id, Paths: make([]string, len(manifest.Files))}
	for i, f := range manifest.Files {
		part.Paths[i] = f.Path
	}
	err := l.add(ctx, h, stored, func(v *fileView) (record.Files, *files.Manifest, error) {
		return part, manifest, v.mayAdd(part.Paths, replace)
	})
	if failed := stored(); err == nil {
		err = failed
	}
	return err
}

// Remove takes a file out of the list, or a folder with all below it. Their
// contents stay for those who have them otherwise, such as a model. Errors:
// ErrNotFound.
func (l FileList) Remove(ctx context.Context, h core.Handle, path string) error {
	part := record.Files{Removed: []string{path}}
	return l.add(ctx, h, core.Ready, func(v *fileView) (record.Files, *files.Manifest, error) {
		if !v.has(path) {
			return part, nil, fmt.Errorf("%w: there is no file %q", azml.ErrNotFound, path)
		}
		return part, &files.Manifest{}, nil
	})
}

// add adds the part that next makes of what the list has before it, after what
// ready waits for; next is called while the view is locked. Within a process, one
// part of a list is added at a time.
func (l FileList) add(ctx context.Context, h core.Handle, ready func() error, next func(*fileView) (record.Files, *files.Manifest, error)) error {
	if l.Fixed() {
		return fmt.Errorf("%w: these files never change", azml.ErrDenied)
	}
	v, err := view(h, l)
	if err != nil {
		return err
	}
	v.adding.Lock()
	defer v.adding.Unlock()
	var manifest *files.Manifest
	n, part, err := core.AllotAfter(ctx, h, l.parts(), false, ready, func(n int) (part record.Files, err error) {
		if err := v.read(ctx, h, n-1); err != nil {
			return part, err
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		part, manifest, err = next(v)
		return part, err
	})
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.apply(n, part.Value, manifest)
	return nil
}

// current gives what is known of the list, up to date.
func (l FileList) current(ctx context.Context, h core.Handle) (*fileView, error) {
	v, err := view(h, l)
	if err != nil {
		return nil, err
	}
	if l.Fixed() {
		return v, v.readFixed(ctx, h)
	}
	last, err := l.parts().Last(ctx, h)
	if err != nil {
		return nil, err
	}
	return v, v.read(ctx, h, last)
}

// Files gives the files below prefix (a file's path, or a folder's with or
// without a slash at its end; empty for all) as one manifest.
func (l FileList) Files(ctx context.Context, h core.Handle, prefix string) (*files.Manifest, error) {
	v, err := l.current(ctx, h)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.below(prefix), nil
}

// Find gives the file at path. Errors: ErrNotFound; ErrInvalid when it is a
// folder.
func (l FileList) Find(ctx context.Context, h core.Handle, path string) (files.File, error) {
	v, err := l.current(ctx, h)
	if err != nil {
		return files.File{}, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch f, ok := v.files[path]; {
	case ok:
		return f, nil
	case v.folders[path] > 0:
		return f, fmt.Errorf("%w: %q is a folder", azml.ErrInvalid, path)
	}
	return files.File{}, fmt.Errorf("%w: there is no file %q", azml.ErrNotFound, path)
}

// Entry is what lies directly in a folder of a list.
type Entry struct {
	// Name is the last part of its path.
	Name string
	// Folder says that it is a folder, and has no size.
	Folder bool
	// Size is the number of bytes of a file.
	Size int64
}

// Folder gives what lies directly in the folder, sorted by name; nothing when
// there is no such folder.
func (l FileList) Folder(ctx context.Context, h core.Handle, folder string) ([]Entry, error) {
	v, err := l.current(ctx, h)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if folder != "" {
		if v.folders[folder] == 0 {
			return nil, nil
		}
		folder += "/"
	}
	byName := map[string]Entry{}
	for path, f := range v.files {
		rest, below := strings.CutPrefix(path, folder)
		if !below {
			continue
		}
		name, _, deeper := strings.Cut(rest, "/")
		byName[name] = Entry{Name: name, Folder: deeper, Size: f.Size}
	}
	entries := make([]Entry, 0, len(byName))
	for _, e := range byName {
		if e.Folder {
			e.Size = 0
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}

// Manifests gives the IDs of the manifests of all parts that count: what the
// garbage collector must keep. stale says that these have files that were
// replaced or removed, see Condense.
func (l FileList) Manifests(ctx context.Context, h core.Handle) (ids []string, stale bool, err error) {
	seen := map[string]bool{}
	for part, err := range core.Numbers[record.Files](ctx, h, l.parts()) {
		if err != nil {
			return nil, false, err
		}
		if part.Value.Manifest != "" {
			ids = append(ids, part.Value.Manifest)
		}
		for _, path := range part.Value.Paths {
			stale = stale || seen[path]
			seen[path] = true
		}
		if stale = stale || len(part.Value.Removed) > 0; part.Value.Whole {
			break
		}
	}
	return ids, stale, nil
}

// Condense adds a part that lists all files of the list, so that nothing but
// earlier parts, which count no more, names what was replaced and removed.
func (l FileList) Condense(ctx context.Context, h core.Handle) error {
	return l.add(ctx, h, core.Ready, func(v *fileView) (part record.Files, all *files.Manifest, err error) {
		all, part.Whole = v.below(""), true
		if len(all.Files) == 0 {
			return part, all, nil
		}
		for _, f := range all.Files {
			part.Paths = append(part.Paths, f.Path)
		}
		part.Manifest, err = h.Files().PutManifest(ctx, all)
		return part, all, err
	})
}
