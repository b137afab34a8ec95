package history

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/record"
)

// fileView is what a process knows of a FileList: the parts up to one of them,
// put together. Parts never change, so it is only ever added to.
type fileView struct {
	list   FileList
	adding sync.Mutex // held by who adds a part

	mu      sync.Mutex
	last    int // the last part that is in
	files   map[string]files.File
	folders map[string]int // how many files lie somewhere below
}

// maxViews bounds how many lists a process keeps in mind.
const maxViews = 128

// fileViews are the lists that a process keeps in mind.
type fileViews struct {
	mu   sync.Mutex
	kept map[FileList]*fileView
}

// Close implements io.Closer for core.Own; there is nothing to close.
func (*fileViews) Close() error { return nil }

// view gives the view of the list, an empty one when it is not kept.
func view(h core.Handle, l FileList) (*fileView, error) {
	vs, err := core.Own(h, func(core.Handle) (*fileViews, error) { return &fileViews{kept: map[FileList]*fileView{}}, nil })
	if err != nil {
		return nil, err
	}
	vs.mu.Lock()
	defer vs.mu.Unlock()
	v := vs.kept[l]
	if v == nil {
		for old := range vs.kept {
			if len(vs.kept) < maxViews {
				break
			}
			delete(vs.kept, old) // any will do
		}
		v = &fileView{list: l, files: map[string]files.File{}, folders: map[string]int{}}
		vs.kept[l] = v
	}
	return v, nil
}

// read takes in the parts up to number last, from the last whole one on: nothing
// is asked of what comes before that.
func (v *fileView) read(ctx context.Context, h core.Handle, last int) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	var parts []record.Files // from the last one down
	for n := last; n > v.last; n-- {
		part, err := core.Get[record.Files](ctx, h, v.list.parts().Key(n))
		if err != nil {
			return err
		}
		if parts = append(parts, part.Value); part.Value.Whole {
			break
		}
	}
	for i, part := range slices.Backward(parts) {
		manifest := &files.Manifest{}
		if part.Manifest != "" {
			var err error
			if manifest, err = h.Files().Manifest(ctx, part.Manifest); err != nil {
				return err
			}
		}
		v.apply(last-i, part, manifest)
	}
	return nil
}

// readFixed takes in the manifest of a list that never changes.
func (v *fileView) readFixed(ctx context.Context, h core.Handle) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.last > 0 {
		return nil
	}
	manifest, err := h.Files().Manifest(ctx, v.list.fixed)
	if err != nil {
		return err
	}
	v.apply(1, record.Files{}, manifest)
	return nil
}

// apply takes in part n, which comes next or is in already. The caller holds
// the lock.
func (v *fileView) apply(n int, part record.Files, manifest *files.Manifest) {
	if n <= v.last || n != v.last+1 && !part.Whole {
		return
	}
	v.last = n
	if part.Whole {
		clear(v.files)
		clear(v.folders)
	}
	for _, path := range part.Removed {
		v.remove(path)
	}
	for _, f := range manifest.Files {
		if _, there := v.files[f.Path]; !there {
			v.count(f.Path, 1)
		}
		v.files[f.Path] = f
	}
}

func (v *fileView) remove(removed string) {
	if _, isFile := v.files[removed]; isFile {
		delete(v.files, removed)
		v.count(removed, -1)
		return
	}
	for path := range v.files {
		if Below(path, removed) {
			delete(v.files, path)
			v.count(path, -1)
		}
	}
}

// count adds to the number of files below the folders above path.
func (v *fileView) count(path string, n int) {
	for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path[:i], '/') {
		if v.folders[path[:i]] += n; v.folders[path[:i]] == 0 {
			delete(v.folders, path[:i])
		}
	}
}

// below gives the files below prefix, sorted by path.
func (v *fileView) below(prefix string) *files.Manifest {
	found := &files.Manifest{}
	if f, ok := v.files[strings.TrimSuffix(prefix, "/")]; ok {
		found.Files = append(found.Files, f)
		return found
	}
	for path, f := range v.files {
		if Below(path, prefix) {
			found.Files = append(found.Files, f)
		}
	}
	slices.SortFunc(found.Files, func(a, b files.File) int { return strings.Compare(a.Path, b.Path) })
	return found
}

// has tells whether there is a file or a folder at path.
func (v *fileView) has(path string) bool {
	_, isFile := v.files[path]
	return isFile || v.folders[path] > 0
}

// mayAdd tells whether files of these paths can be added.
func (v *fileView) mayAdd(paths []string, replace bool) error {
	for _, path := range paths {
		if _, there := v.files[path]; there && !replace {
			return fmt.Errorf("%w: there is a file %q already, and files are never replaced: choose another name", azml.ErrExists, path)
		}
		if v.folders[path] > 0 {
			return fmt.Errorf("%w: %q is a folder, so it can't be a file", azml.ErrInvalid, path)
		}
		for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path[:i], '/') {
			if _, there := v.files[path[:i]]; there {
				return fmt.Errorf("%w: %q is a file, so %q can't lie below it", azml.ErrInvalid, path[:i], path)
			}
		}
	}
	return nil
}
