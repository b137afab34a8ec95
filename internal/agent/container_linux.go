package agent

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// Container is the container that this process runs in, whose files are looked at
// after a run: another run has it only as it was. It is for one goroutine.
type Container struct {
	since time.Time
	// own are the files and folders that this user may change, nil until they are known.
	own []string
}

// NewContainer remembers when this process began: what is changed from now on shows.
func NewContainer() *Container { return &Container{since: time.Now()} }

// mostOwn is how many files a user may own or write to that are looked at after each run.
const mostOwn = 1000

// outside are the folders of a container that are no part of its image, and are lost
// with it.
var outside = []string{"/dev/shm", "/dev/mqueue"}

// errTrace says that something is not as it was.
var errTrace = errors.New("a file was changed")

// Clean tells whether all files of the container are as they were when this process
// began: no time of change, which nobody can set, is later. The first look goes
// through all of the image, and finds what this user may change at all; later ones look
// only there. A superuser may have changed anything in any way: never clean, and neither
// is an image with very many files of the user's own.
func (c *Container) Clean() bool {
	if os.Geteuid() == 0 {
		return false
	}
	if c.own != nil {
		return c.untouched(c.own)
	}
	groups, err := os.Getgroups()
	if err != nil {
		return false
	}
	own := []string{}
	err = c.walk("/", func(path string, info *syscall.Stat_t) {
		group := slices.Contains(groups, int(info.Gid)) || int(info.Gid) == os.Getegid()
		if int(info.Uid) == os.Geteuid() || info.Mode&0o002 != 0 || group && info.Mode&0o020 != 0 {
			own = append(own, path)
		}
	})
	own = append(own, outside...)
	if err != nil || len(own) > mostOwn || !c.untouched(outside) {
		return false
	}
	c.own = own
	return true
}

// untouched looks at files and at all that is in folders.
func (c *Container) untouched(paths []string) bool {
	for _, path := range paths {
		if err := c.walk(path, func(string, *syscall.Stat_t) {}); err != nil {
			return false
		}
	}
	return true
}

// walk sees every file and folder below one, in the same file system, and ends with
// errTrace at one that was changed. Links are no files of their own: whoever made one
// has changed its folder.
func (c *Container) walk(root string, see func(path string, info *syscall.Stat_t)) error {
	var top syscall.Stat_t
	if err := syscall.Lstat(root, &top); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return unreadable(err)
		}
		var info syscall.Stat_t
		if err := syscall.Lstat(path, &info); err != nil {
			return err
		}
		if entry.IsDir() && info.Dev != top.Dev {
			return fs.SkipDir
		}
		if time.Unix(info.Ctim.Unix()).After(c.since) {
			return errTrace
		}
		if entry.Type()&fs.ModeSymlink == 0 {
			see(path, &info)
		}
		return nil
	})
}

// unreadable passes over a folder that this user can't look into: what he had put there
// would have changed the folder itself.
func unreadable(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fs.SkipDir
	}
	return err
}
