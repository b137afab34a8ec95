package endpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gofrs/flock"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
)

// workDir is the folder on this machine with the source and the models of a
// scoring script that is served. A locked file beside it says that the serving
// process lives, so that what a killed one left can be told.
type workDir struct {
	path string
	lock *flock.Flock
}

const lockSuffix = ".lock"

func workDirs(h core.Handle) string {
	return filepath.Join(h.CacheDir(), "endpoints", h.Workspace().ID)
}

// newWorkDir makes a folder. The lock comes first: a folder without one is not
// to be seen.
func newWorkDir(h core.Handle, name string) (*workDir, error) {
	if err := os.MkdirAll(workDirs(h), 0o700); err != nil {
		return nil, err
	}
	const tries = 10
	for range tries {
		d := &workDir{path: filepath.Join(workDirs(h), name+"-"+core.NewID(4))}
		switch held, err := d.hold(); {
		case err != nil:
			return nil, err
		case held:
			return d, os.Mkdir(d.path, 0o700)
		}
	}
	return nil, fmt.Errorf("%w: the locks in %s are always taken", azml.ErrUnavailable, workDirs(h))
}

// hold takes the lock, unless somebody has it.
func (d *workDir) hold() (bool, error) {
	d.lock = flock.New(d.path+lockSuffix, flock.SetPermissions(0o600))
	held, err := d.lock.TryLock()
	if err == nil && held {
		// A sweep may have removed the file after it was opened here: then
		// nobody else would find this lock.
		var mine, there os.FileInfo
		if mine, err = d.lock.Stat(); err == nil {
			there, err = os.Stat(d.lock.Path())
		}
		if err == nil && os.SameFile(mine, there) {
			return true, nil
		}
	}
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return false, errors.Join(err, d.lock.Close())
}

// remove removes the folder and then the lock, which it holds.
func (d *workDir) remove() error {
	if err := os.RemoveAll(d.path); err != nil {
		return errors.Join(err, d.lock.Close())
	}
	if runtime.GOOS == "windows" { // where an open file can't be removed
		return errors.Join(d.lock.Close(), os.Remove(d.lock.Path()))
	}
	return errors.Join(os.Remove(d.lock.Path()), d.lock.Close())
}

// sweep removes the folders that killed processes have left on this machine.
func sweep(h core.Handle) error {
	entries, err := os.ReadDir(workDirs(h))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	for _, entry := range entries {
		name, isLock := strings.CutSuffix(entry.Name(), lockSuffix)
		if !isLock {
			continue
		}
		d := &workDir{path: filepath.Join(workDirs(h), name)}
		held, err := d.hold()
		if err == nil && held {
			err = d.remove()
		}
		if err != nil {
			return err
		}
	}
	return nil
}
