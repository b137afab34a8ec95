package metrics

import (
	"errors"
	"io/fs"
	"os"
	"runtime"

	"github.com/gofrs/flock"
)

// spoolLock says that the spool files of one writer are in somebody's hands:
// the writer's own, or those of a recovery. It goes with the process.
type spoolLock struct{ f *flock.Flock }

// tryLock takes the lock of the path, whose file it makes when it is not there.
// It gives false when somebody holds it, or when the folder is gone.
func tryLock(path string) (*spoolLock, bool, error) {
	f := flock.New(path, flock.SetPermissions(0o600))
	held, err := f.TryLock()
	if err != nil || !held {
		_ = f.Close()
		return nil, false, ignoreGone(err)
	}
	// The former holder may have deleted the file after it was opened here.
	// Then the lock is on a file that nobody else can find any more.
	mine, err := f.Stat()
	if err == nil {
		var there os.FileInfo
		if there, err = os.Stat(path); err == nil && os.SameFile(mine, there) {
			return &spoolLock{f: f}, true, nil
		}
	}
	_ = f.Close()
	return nil, false, ignoreGone(err)
}

// isLocked tells whether somebody holds the lock of the path. It makes no file.
func isLocked(path string) (bool, error) {
	f := flock.New(path, flock.SetFlag(os.O_RDWR))
	defer f.Close()
	free, err := f.TryLock()
	return err == nil && !free, ignoreGone(err)
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// release gives the lock back and leaves the file.
func (l *spoolLock) release() { _ = l.f.Close() }

// remove deletes the file and gives the lock back.
func (l *spoolLock) remove() {
	if runtime.GOOS == "windows" { // where an open file can't be deleted
		l.release()
		_ = os.Remove(l.f.Path())
		return
	}
	_ = os.Remove(l.f.Path())
	l.release()
}
