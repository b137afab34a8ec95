package mount

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/azml-go/azml"
)

// device is what FUSE needs.
const device = "/dev/fuse"

// known is how long the kernel relies on what it was told of files that nobody else
// changes.
const known = time.Hour

// Mounted is a folder that is mounted.
type Mounted struct {
	dir    string
	server *fuse.Server
}

// begin mounts at dir, which is made when it is not there. Errors: ErrUnsupported
// when FUSE is not there or not allowed.
func begin(dir string, root fusefs.InodeEmbedder, opts fusefs.Options) (*Mounted, error) {
	if _, err := os.Stat(device); err != nil {
		return nil, fmt.Errorf("%w: this machine has no FUSE: %w", azml.ErrUnsupported, err)
	}
	const mode = 0o700
	if err := os.MkdirAll(dir, mode); err != nil {
		return nil, err
	}
	const readAhead = 1 << 20
	opts.FsName, opts.Name, opts.DirectMount, opts.DisableXAttrs, opts.MaxReadAhead = "azml", "azml", true, true, readAhead
	opts.UID, opts.GID = uint32(os.Getuid()), uint32(os.Getgid())
	server, err := fusefs.Mount(dir, root, &opts)
	if err != nil {
		return nil, fmt.Errorf("%w: this machine doesn't allow to mount: %w", azml.ErrUnsupported, err)
	}
	return &Mounted{dir, server}, nil
}

// Close ends the mount, also one that a process still uses.
func (m *Mounted) Close() error {
	err := m.server.Unmount()
	if err == nil {
		m.server.Wait()
		return nil
	}
	return Detach(m.dir)
}

// Detach ends whatever is mounted at the folder or below it, such as what a process
// that was killed has left there.
func Detach(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		const mountPoint = 4 // see proc_pid_mountinfo(5)
		if len(fields) <= mountPoint {
			continue
		}
		at := unescape(fields[mountPoint])
		if at != dir && !strings.HasPrefix(at, dir+"/") {
			continue
		}
		if err := detach(at); err != nil {
			return fmt.Errorf("unmount %s: %w", at, err)
		}
	}
	return nil
}

func detach(at string) error {
	err := unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if err == unix.EPERM {
		return lazily(at)
	}
	return err
}

// unescape undoes what mountinfo makes of spaces and the like.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
