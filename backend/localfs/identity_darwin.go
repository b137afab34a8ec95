package localfs

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// bootID tells one start of the machine from the next.
func bootID() string {
	id, _ := unix.Sysctl("kern.bootsessionuuid") // empty when not known
	return id
}

// fileIdentity tells the file from every other one, also from a later one with
// its inode.
func fileIdentity(f *os.File) string {
	fi, err := f.Stat()
	if err != nil {
		return ""
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprint(st.Dev, st.Ino, st.Birthtimespec.Sec, st.Birthtimespec.Nsec)
}

// changeTime gives the time of the last change of a file's bytes or of anything
// about it, which nobody can set.
func changeTime(fi fs.FileInfo) time.Time {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Ctimespec.Unix())
	}
	return time.Time{}
}
