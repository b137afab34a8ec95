package dataset

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml/datastore"
)

// FS lists the files of the dataset as they are now, and gives them as an fs.FS
// that is also an fs.ReadDirFS and fs.StatFS, by their paths within the dataset. A
// file is opened when it is asked for and read lazily, by ranges; its handle is
// an io.ReaderAt and io.Seeker, too. Requests end with ctx. Files whose path is none of an fs.FS are left out.
func (d *Dataset) FS(ctx context.Context) (_ fs.FS, err error) {
	defer d.h.Operation(&ctx, &err, "list files of", kind, d.label())()
	entries, err := d.entries(ctx, false)
	if err != nil {
		return nil, err
	}
	return newTree(ctx, entries), nil
}

func newTree(ctx context.Context, entries []entry) *tree {
	t := &tree{ctx: ctx, files: map[string]entry{}, folders: map[string][]string{".": nil}}
	for _, e := range entries {
		if fs.ValidPath(e.rel) && e.rel != "." {
			t.add(e)
		}
	}
	for _, names := range t.folders {
		slices.Sort(names)
	}
	return t
}

// tree is the files by their paths.
type tree struct {
	ctx     context.Context //nolint:containedctx // fs.FS has no place for it
	files   map[string]entry
	folders map[string][]string // the names in each
	pinned  bool                // a file must be what was listed when it is opened
}

func (t *tree) add(e entry) {
	if _, there := t.files[e.rel]; there {
		return
	}
	t.files[e.rel] = e
	for name := e.rel; name != "."; {
		folder := path.Dir(name)
		_, known := t.folders[folder]
		t.folders[folder] = append(t.folders[folder], path.Base(name))
		if known {
			return
		}
		name = folder
	}
}

// Open implements fs.FS.
func (t *tree) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if e, ok := t.files[name]; ok {
		r, err := e.store.Open(t.ctx, e.Path, nil)
		if err == nil && t.pinned {
			if err = e.same(r.File().ETag, r.Size()); err != nil {
				err = errors.Join(err, r.Close())
			}
		}
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		return &openFile{r, fileInfo{name, e.Size, e.Modified}}, nil
	}
	if _, ok := t.folders[name]; ok {
		list, err := t.ReadDir(name)
		return &openFolder{fileInfo: fileInfo{name, -1, time.Time{}}, rest: list}, err
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// Stat implements fs.StatFS.
func (t *tree) Stat(name string) (fs.FileInfo, error) {
	if e, ok := t.files[name]; ok {
		return fileInfo{name, e.Size, e.Modified}, nil
	}
	if _, ok := t.folders[name]; ok {
		return fileInfo{name, -1, time.Time{}}, nil
	}
	return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
}

// ReadDir implements fs.ReadDirFS.
func (t *tree) ReadDir(name string) ([]fs.DirEntry, error) {
	names, ok := t.folders[name]
	if !ok {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	out := make([]fs.DirEntry, len(names))
	for i, one := range names {
		info, err := t.Stat(path.Join(name, one))
		if err != nil {
			return nil, err
		}
		out[i] = fs.FileInfoToDirEntry(info)
	}
	return out, nil
}

// openFile is an opened file.
type openFile struct {
	*datastore.Reader
	info fileInfo
}

// Stat implements fs.File.
func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }

// openFolder is an opened folder.
type openFolder struct {
	fileInfo
	rest []fs.DirEntry
}

// Stat implements fs.File.
func (f *openFolder) Stat() (fs.FileInfo, error) { return f.fileInfo, nil }

// Read implements fs.File.
func (f *openFolder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: f.path, Err: fs.ErrInvalid}
}

// Close implements fs.File.
func (f *openFolder) Close() error { return nil }

// ReadDir implements fs.ReadDirFile.
func (f *openFolder) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		list := f.rest
		f.rest = nil
		return list, nil
	}
	if len(f.rest) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(f.rest))
	list := f.rest[:n]
	f.rest = f.rest[n:]
	return list, nil
}

// fileInfo describes a file, or a folder, whose size is below 0.
type fileInfo struct {
	path     string
	size     int64
	modified time.Time
}

// Name implements fs.FileInfo.
func (i fileInfo) Name() string { return path.Base(strings.TrimSuffix(i.path, "/")) }

// Size implements fs.FileInfo.
func (i fileInfo) Size() int64 { return max(0, i.size) }

// Mode implements fs.FileInfo.
func (i fileInfo) Mode() fs.FileMode {
	if i.IsDir() {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

// ModTime implements fs.FileInfo.
func (i fileInfo) ModTime() time.Time { return i.modified }

// IsDir implements fs.FileInfo.
func (i fileInfo) IsDir() bool { return i.size < 0 }

// Sys implements fs.FileInfo.
func (i fileInfo) Sys() any { return nil }
