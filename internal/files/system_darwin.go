package files

import (
	"io/fs"
	"os"
	"syscall"
)

// systemStamp adds the change time and the inode.
func systemStamp(info fs.FileInfo, st *stamp) {
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		st.ctime = sys.Ctimespec.Nano()
		st.inode, st.device = sys.Ino, uint64(sys.Dev)
	}
}

// openFile opens a file for reading. It does not wait when a FIFO has taken
// the place of the file.
func openFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}
