package mount

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"syscall"
	"time"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Tree is what can be mounted: files that are found by name, and whose folders are
// listed. Its files must be io.ReaderAt.
type Tree interface {
	fs.ReadDirFS
	fs.StatFS
}

// Read mounts the files at dir, to be read. They and their names must stay as they
// are. Failed is told of what can't be read, of which a script only sees an
// input/output error; it is called from several goroutines.
func Read(dir string, tree Tree, failed func(name string, err error)) (*Mounted, error) {
	long := known
	return begin(dir, &node{files: &files{tree, failed}, name: "."}, fusefs.Options{
		MountOptions: fuse.MountOptions{Options: []string{"ro"}, DirectMountFlags: syscall.MS_RDONLY | syscall.MS_NOSUID | syscall.MS_NODEV},
		EntryTimeout: &long, AttrTimeout: &long, NegativeTimeout: &long,
	})
}

// files are the files of a mount.
type files struct {
	tree   Tree
	failed func(name string, err error)
}

// errno is what a script sees of an error.
func (f *files) errno(name string, err error) syscall.Errno {
	if errors.Is(err, fs.ErrNotExist) {
		return syscall.ENOENT
	}
	f.failed(name, err)
	return syscall.EIO
}

// node is a file or a folder.
type node struct {
	fusefs.Inode
	*files
	name string
}

var (
	_ fusefs.NodeLookuper  = (*node)(nil)
	_ fusefs.NodeReaddirer = (*node)(nil)
	_ fusefs.NodeGetattrer = (*node)(nil)
	_ fusefs.NodeOpener    = (*node)(nil)
)

// Lookup implements fusefs.NodeLookuper.
func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fusefs.Inode, syscall.Errno) {
	full := path.Join(n.name, name)
	info, err := n.tree.Stat(full)
	if err != nil {
		return nil, n.errno(full, err)
	}
	fill(&out.Attr, info)
	return n.NewInode(ctx, &node{files: n.files, name: full}, fusefs.StableAttr{Mode: sort(info)}), fusefs.OK
}

// Readdir implements fusefs.NodeReaddirer.
func (n *node) Readdir(context.Context) (fusefs.DirStream, syscall.Errno) {
	entries, err := n.tree.ReadDir(n.name)
	if err != nil {
		return nil, n.errno(n.name, err)
	}
	list := make([]fuse.DirEntry, len(entries))
	for i, e := range entries {
		list[i] = fuse.DirEntry{Name: e.Name(), Mode: fuse.S_IFREG}
		if e.IsDir() {
			list[i].Mode = fuse.S_IFDIR
		}
	}
	return fusefs.NewListDirStream(list), fusefs.OK
}

// Getattr implements fusefs.NodeGetattrer.
func (n *node) Getattr(_ context.Context, _ fusefs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	info, err := n.tree.Stat(n.name)
	if err != nil {
		return n.errno(n.name, err)
	}
	fill(&out.Attr, info)
	return fusefs.OK
}

// Open implements fusefs.NodeOpener.
func (n *node) Open(_ context.Context, flags uint32) (fusefs.FileHandle, uint32, syscall.Errno) {
	if flags&syscall.O_ACCMODE != syscall.O_RDONLY {
		return nil, 0, syscall.EROFS
	}
	file, err := n.tree.Open(n.name)
	if err != nil {
		return nil, 0, n.errno(n.name, err)
	}
	info, err := file.Stat()
	reader, ok := file.(io.ReaderAt)
	if err != nil || !ok {
		return nil, 0, n.errno(n.name, errors.Join(err, file.Close(), fs.ErrInvalid))
	}
	if info.Size() == 0 { // which may be a size that isn't known: then reading tells
		return &handle{n, file, reader}, fuse.FOPEN_DIRECT_IO, fusefs.OK
	}
	return &handle{n, file, reader}, fuse.FOPEN_KEEP_CACHE, fusefs.OK
}

// handle is an opened file.
type handle struct {
	node   *node
	file   fs.File
	reader io.ReaderAt
}

var (
	_ fusefs.FileReader   = (*handle)(nil)
	_ fusefs.FileReleaser = (*handle)(nil)
)

// Read implements fusefs.FileReader.
func (h *handle) Read(_ context.Context, dest []byte, offset int64) (fuse.ReadResult, syscall.Errno) {
	n, err := h.reader.ReadAt(dest, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, h.node.errno(h.node.name, err)
	}
	return fuse.ReadResultData(dest[:n]), fusefs.OK
}

// Release implements fusefs.FileReleaser.
func (h *handle) Release(context.Context) syscall.Errno {
	if err := h.file.Close(); err != nil {
		return h.node.errno(h.node.name, err)
	}
	return fusefs.OK
}

// fill tells the kernel what a file is.
func fill(out *fuse.Attr, info fs.FileInfo) {
	out.Mode = sort(info) | uint32(info.Mode().Perm())
	out.Size = uint64(max(0, info.Size()))
	const block = 512
	out.Blocks = (out.Size + block - 1) / block
	out.Nlink = 1
	if t := info.ModTime(); !t.IsZero() {
		out.SetTimes(nil, &t, &t)
	} else {
		out.SetTimes(nil, &time.Time{}, &time.Time{})
	}
}

func sort(info fs.FileInfo) uint32 {
	if info.IsDir() {
		return fuse.S_IFDIR
	}
	return fuse.S_IFREG
}
