package datastore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml"
)

// FS gives the files below the folder dir (all when it is empty) as an fs.FS
// that is also an fs.ReadDirFS, fs.StatFS and fs.SubFS. Nothing is read before
// it is asked for; opened files are Readers. Requests end with ctx. What has a
// path that fs.ValidPath refuses is not to be seen in it, and neither are the
// files below what is itself a file.
func (d *Datastore) FS(ctx context.Context, dir string) fs.FS {
	return fileSystem{ctx, d, strings.Trim(dir, "/")}
}

// fileSystem is an FS of what is below base.
type fileSystem struct {
	ctx  context.Context //nolint:containedctx // fs.FS has no other place for it
	d    *Datastore
	base string
}

// full gives the path in the datastore of a name in the file system, "" for all
// of the datastore.
func (f fileSystem) full(op, name string) (string, error) {
	if !fs.ValidPath(name) {
		return "", &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	if full := path.Join(f.base, name); full != "." {
		return full, nil
	}
	return "", nil
}

// pathError gives err the form that fs.FS promises: errors.Is finds the errors
// of package fs as well as azml's.
func pathError(op, name string, err error) error {
	for _, c := range []struct{ class, is error }{
		{azml.ErrNotFound, fs.ErrNotExist}, {azml.ErrDenied, fs.ErrPermission}, {azml.ErrClosed, fs.ErrClosed},
	} {
		if errors.Is(err, c.class) && !errors.Is(err, c.is) {
			err = fmt.Errorf("%w: %w", c.is, err)
		}
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// Open implements fs.FS.
func (f fileSystem) Open(name string) (fs.File, error) {
	full, err := f.full("open", name)
	if err != nil {
		return nil, err
	}
	if full != "" {
		r, err := f.d.Open(f.ctx, full, nil)
		if err == nil {
			return openFile{r}, nil
		}
		if !errors.Is(err, azml.ErrNotFound) {
			return nil, pathError("open", name, err)
		}
	}
	info, err := f.folder("open", name, full)
	if err != nil {
		return nil, err
	}
	return &openFolder{fs: f, name: name, info: info}, nil
}

// Stat implements fs.StatFS.
func (f fileSystem) Stat(name string) (fs.FileInfo, error) {
	full, err := f.full("stat", name)
	if err != nil {
		return nil, err
	}
	if full != "" {
		file, err := f.d.stat(f.ctx, full)
		if err == nil {
			return fileInfo{file}, nil
		}
		if !errors.Is(err, azml.ErrNotFound) {
			return nil, pathError("stat", name, err)
		}
	}
	return f.folder("stat", name, full)
}

// folder describes a folder, which is there when a file is below it.
func (f fileSystem) folder(op, name, full string) (fs.FileInfo, error) {
	info := fileInfo{File{Path: full + "/", IsFolder: true}}
	if name == "." {
		info.file.Path = "."
		return info, nil
	}
	for _, err := range f.d.Files(f.ctx, full+"/", nil) {
		if err != nil {
			return nil, pathError(op, name, err)
		}
		return info, nil
	}
	return nil, pathError(op, name, azml.ErrNotFound)
}

// ReadDir implements fs.ReadDirFS.
func (f fileSystem) ReadDir(name string) ([]fs.DirEntry, error) {
	full, err := f.full("readdir", name)
	if err != nil {
		return nil, err
	}
	if full != "" {
		full += "/"
	}
	entries := []fs.DirEntry{}
	for file, err := range f.d.Files(f.ctx, full, &FilesOptions{Folders: true}) {
		if err != nil {
			return nil, pathError("readdir", name, err)
		}
		e := fs.FileInfoToDirEntry(fileInfo{file})
		// A path such as "a//b", "a/../b" or "a/" has no name here.
		if file.Path != full+e.Name() && file.Path != full+e.Name()+"/" || !fs.ValidPath(e.Name()) {
			continue
		}
		entries = append(entries, e)
	}
	if len(entries) == 0 && name != "." {
		if info, err := f.Stat(name); err != nil {
			return nil, err
		} else if !info.IsDir() {
			return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a folder")}
		}
	}
	// By names, where the store's order is that of paths ("a.txt" before "a/").
	// Of a file and a folder of one name the file comes first, and stays.
	slices.SortStableFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return slices.CompactFunc(entries, func(a, b fs.DirEntry) bool { return a.Name() == b.Name() }), nil
}

// Sub implements fs.SubFS.
func (f fileSystem) Sub(dir string) (fs.FS, error) {
	full, err := f.full("sub", dir)
	if err != nil {
		return nil, err
	}
	return fileSystem{f.ctx, f.d, full}, nil
}

// openFile is an opened file of a file system.
type openFile struct{ *Reader }

// Stat implements fs.File.
func (f openFile) Stat() (fs.FileInfo, error) { return fileInfo{f.File()}, nil }

// openFolder is an opened folder.
type openFolder struct {
	fs      fileSystem
	name    string
	info    fs.FileInfo
	entries []fs.DirEntry // that are left, once read is set
	read    bool
}

// Stat implements fs.File.
func (o *openFolder) Stat() (fs.FileInfo, error) { return o.info, nil }

// Close implements fs.File.
func (*openFolder) Close() error { return nil }

// Read implements fs.File; there is nothing to read.
func (o *openFolder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: o.name, Err: errors.New("is a folder")}
}

// ReadDir implements fs.ReadDirFile.
func (o *openFolder) ReadDir(n int) ([]fs.DirEntry, error) {
	if !o.read {
		entries, err := o.fs.ReadDir(o.name)
		if err != nil {
			return nil, err
		}
		o.entries, o.read = entries, true
	}
	if n <= 0 {
		n = len(o.entries)
	} else if len(o.entries) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(o.entries))
	list := o.entries[:n:n]
	o.entries = o.entries[n:]
	return list, nil
}

// fileInfo is a File as an fs.FileInfo. Its Sys is the File.
type fileInfo struct{ file File }

// Name implements fs.FileInfo.
func (i fileInfo) Name() string { return path.Base(i.file.Path) }

// Size implements fs.FileInfo.
func (i fileInfo) Size() int64 { return i.file.Size }

// Mode implements fs.FileInfo: everything may be read.
func (i fileInfo) Mode() fs.FileMode {
	if i.file.IsFolder {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

// ModTime implements fs.FileInfo.
func (i fileInfo) ModTime() time.Time { return i.file.Modified }

// IsDir implements fs.FileInfo.
func (i fileInfo) IsDir() bool { return i.file.IsFolder }

// Sys gives the File.
func (i fileInfo) Sys() any { return i.file }
