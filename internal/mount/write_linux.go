package mount

import (
	"context"
	"syscall"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
)

// Write mounts the folder from at dir, to be written and read. Closed is told of
// each file that a process has closed, by its slash path below the folder, some time
// after that; it is called from several goroutines.
func Write(dir, from string, closed func(name string)) (*Mounted, error) {
	root := &fusefs.LoopbackRoot{Path: from}
	top := &written{&fusefs.LoopbackNode{RootData: root}, closed}
	root.RootNode = top
	return begin(dir, top, fusefs.Options{})
}

// written is a file or folder that lies in another folder.
type written struct {
	*fusefs.LoopbackNode
	closed func(name string)
}

var (
	_ fusefs.NodeReleaser    = (*written)(nil)
	_ fusefs.NodeWrapChilder = (*written)(nil)
)

// WrapChild implements fusefs.NodeWrapChilder.
func (w *written) WrapChild(_ context.Context, child fusefs.InodeEmbedder) fusefs.InodeEmbedder {
	if plain, ok := child.(*fusefs.LoopbackNode); ok {
		return &written{plain, w.closed}
	}
	return child
}

// Release implements fusefs.NodeReleaser.
func (w *written) Release(ctx context.Context, f fusefs.FileHandle) syscall.Errno {
	name := w.Path(w.Root())
	var errno syscall.Errno
	if r, ok := f.(fusefs.FileReleaser); ok {
		errno = r.Release(ctx)
	}
	w.closed(name)
	return errno
}
