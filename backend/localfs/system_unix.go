//go:build unix

package localfs

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// hasInodes says that file numbers tell two living files apart, so that
// creating by link needs no lock for the sake of ETags.
const hasInodes = true

func inode(fi fs.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Ino)
	}
	return 0
}

// syncFolder makes names in the folder durable. A folder that is gone was
// emptied by others after our write, so there is nothing left to keep.
func syncFolder(root *tree, dir string) error {
	f, err := root.OpenFile(dir, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func isQuota(err error) bool { return errors.Is(err, syscall.EDQUOT) }

// noLinks tells whether the file system can't make hard links.
func noLinks(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.ENOTSUP, syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.EXDEV, syscall.EMLINK} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
