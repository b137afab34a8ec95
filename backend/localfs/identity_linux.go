package localfs

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// bootID tells one start of the machine from the next (proc(5)).
func bootID() string {
	data, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // empty when not known
	return strings.TrimSpace(string(data))
}

// fileIdentity tells the file from every other one, also from a later one with
// its inode (by the time of its birth) and from itself after its file system
// was mounted anew, which may have lost what was not synced (by the mount's ID,
// where the kernel has ones that don't come back). It is empty on file systems
// that don't keep times of birth.
func fileIdentity(f *os.File) string {
	var st unix.Statx_t
	const want = unix.STATX_INO | unix.STATX_BTIME
	err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, want|unix.STATX_MNT_ID_UNIQUE, &st)
	if err != nil || st.Mask&want != want {
		return ""
	}
	if st.Mask&unix.STATX_MNT_ID_UNIQUE == 0 {
		st.Mnt_id = 0
	}
	return fmt.Sprintf("%d:%d %d %d.%d %d", st.Dev_major, st.Dev_minor, st.Ino, st.Btime.Sec, st.Btime.Nsec, st.Mnt_id)
}

// changeTime gives the time of the last change of a file's bytes or of anything
// about it, which nobody can set.
func changeTime(fi fs.FileInfo) time.Time {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Ctim.Unix())
	}
	return time.Time{}
}
