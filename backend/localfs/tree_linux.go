package localfs

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tree is the store's folder and all below it, which no path leaves: an os.Root
// whose commonest operations cost less. Where os.Root opens each folder on the
// way, the kernel walks the path by itself, under the same rule (openat2 with
// RESOLVE_BENEATH). Kernels before 5.6 and filters of system calls that refuse
// it get os.Root as it is.
type tree struct {
	*os.Root
	self *os.File // the folder, nil where there is no openat2
}

func openTree(dir string) (*tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	self, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	t := &tree{root, self}
	if fd, err := t.open(".", unix.O_PATH|unix.O_DIRECTORY, 0); err == nil {
		return t, unix.Close(fd)
	}
	t.self = nil
	return t, self.Close()
}

// Close gives up the folder. Doing so again does nothing, as with os.Root.
func (t *tree) Close() error {
	err := t.Root.Close()
	if t.self == nil {
		return err
	}
	if failed := t.self.Close(); !errors.Is(failed, os.ErrClosed) {
		err = errors.Join(err, failed)
	}
	return err
}

// errLeaves says that a link in the store's folder leads out of it.
var errLeaves = errors.New("the path leads out of the store's folder")

// open opens what the path leads to.
func (t *tree) open(name string, flag int, perm fs.FileMode) (fd int, err error) {
	how := &unix.OpenHow{Flags: uint64(flag | unix.O_CLOEXEC | unix.O_LARGEFILE), Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS}
	if flag&os.O_CREATE != 0 {
		how.Mode = uint64(perm.Perm())
	}
	conn, err := t.self.SyscallConn()
	if err != nil {
		return -1, err
	}
	closed := conn.Control(func(dir uintptr) {
		err = persist(func() error {
			fd, err = unix.Openat2(int(dir), name, how)
			return err
		})
	})
	switch {
	case closed != nil:
		return -1, os.ErrClosed
	case errors.Is(err, unix.EXDEV):
		return -1, errLeaves
	}
	return fd, err
}

// persist does again what a signal, or a rename beside it, has interrupted.
func persist(do func() error) error {
	for {
		if err := do(); !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			return err
		}
	}
}

// at calls do with the folder that the path's last name is in.
func (t *tree) at(name string, do func(dir int, base string) error) error {
	dir, err := t.open(path.Dir(name), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	err = persist(func() error { return do(dir, path.Base(name)) })
	return errors.Join(err, unix.Close(dir))
}

// OpenFile is os.Root's, but for folders that are to be listed.
func (t *tree) OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	if t.self == nil {
		return t.Root.OpenFile(name, flag, perm)
	}
	fd, err := t.open(name, flag, perm)
	if errors.Is(err, unix.ENOENT) && t.removed() {
		return nil, t.gone()
	}
	if err != nil {
		return nil, failed("open", name, err)
	}
	return os.NewFile(uintptr(fd), filepath.Join(t.Name(), name)), nil
}

// removed tells whether the folder itself is no more.
func (t *tree) removed() bool {
	self, err := t.self.Stat()
	if err != nil {
		return false
	}
	stat, ok := self.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink == 0
}

// Lstat is os.Root's.
func (t *tree) Lstat(name string) (fs.FileInfo, error) {
	if t.self == nil {
		return t.Root.Lstat(name)
	}
	f, err := t.OpenFile(name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Stat()
}

// Mkdir is os.Root's.
func (t *tree) Mkdir(name string, perm fs.FileMode) error {
	if t.self == nil {
		return t.Root.Mkdir(name, perm)
	}
	return failed("mkdir", name, t.at(name, func(dir int, base string) error { return unix.Mkdirat(dir, base, uint32(perm.Perm())) }))
}

// Remove is os.Root's.
func (t *tree) Remove(name string) error {
	if t.self == nil {
		return t.Root.Remove(name)
	}
	return failed("remove", name, t.at(name, func(dir int, base string) error {
		err := unix.Unlinkat(dir, base, 0)
		if err == unix.EISDIR || err == unix.EPERM {
			if folder := unix.Unlinkat(dir, base, unix.AT_REMOVEDIR); folder != unix.ENOTDIR {
				return folder
			}
		}
		return err
	}))
}

// Link is os.Root's.
func (t *tree) Link(from, to string) error {
	if t.self == nil {
		return t.Root.Link(from, to)
	}
	return t.both("link", from, to, func(fromDir int, fromBase string, toDir int, toBase string) error {
		return unix.Linkat(fromDir, fromBase, toDir, toBase, 0)
	})
}

// Rename is os.Root's.
func (t *tree) Rename(from, to string) error {
	if t.self == nil {
		return t.Root.Rename(from, to)
	}
	return t.both("rename", from, to, unix.Renameat)
}

// Place moves the file to a name that must be free. Where the kernel or the file
// system has no such rename, it makes a link, and the file is not moved.
func (t *tree) Place(from, to string) (moved bool, err error) {
	if t.self != nil {
		err = t.both("rename", from, to, func(fromDir int, fromBase string, toDir int, toBase string) error {
			return unix.Renameat2(fromDir, fromBase, toDir, toBase, unix.RENAME_NOREPLACE)
		})
		if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
			return err == nil, err
		}
	}
	return false, t.Link(from, to)
}

// both is at for two paths.
func (t *tree) both(op, from, to string, do func(fromDir int, fromBase string, toDir int, toBase string) error) error {
	err := t.at(from, func(fromDir int, fromBase string) error {
		return t.at(to, func(toDir int, toBase string) error { return do(fromDir, fromBase, toDir, toBase) })
	})
	if err != nil {
		return &os.LinkError{Op: op, Old: from, New: to, Err: err}
	}
	return nil
}

func failed(op, name string, err error) error {
	if err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

// setTime sets the modification time of an opened file, whose path is name.
func (t *tree) setTime(f *os.File, name string, at time.Time) error {
	ts, err := unix.TimeToTimespec(at)
	if err != nil {
		return failed("set times of", name, err)
	}
	err = unix.UtimesNanoAt(int(f.Fd()), "", []unix.Timespec{ts, ts}, unix.AT_EMPTY_PATH)
	if errors.Is(err, unix.EINVAL) { // before Linux 5.8
		return t.Chtimes(name, at, at)
	}
	return failed("set times of", name, err)
}
