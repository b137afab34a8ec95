package metrics

import (
	"os"
	"runtime"

	"github.com/gofrs/flock"
)

// spoolLock says that the spool files of one writer are in somebody's hands:
// the writer's own, or those of a recovery. It goes with the process.
type spoolLock struct{ f *flock.Flock }

// tryLock takes the lock of the path, false when somebody holds it.
func tryLock(path string) (*spoolLock, bool, error) {
	f := flock.New(path, flock.SetPermissions(0o600))
	held, err := f.TryLock()
	if err != nil || !held {
		_ = f.Close()
		return nil, false, err
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
	if os.IsNotExist(err) {
		err = nil
	}
	return nil, false, err
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
