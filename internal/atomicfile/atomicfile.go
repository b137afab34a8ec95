// Package atomicfile puts files in place whole or not at all: who reads one, or is killed
// while it writes one, finds what was there before or all of what is new. After a loss of
// power that holds only where the writer asked for it by [os.File.Sync].
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Write puts data into a file, which it makes or replaces. Any number of processes may do
// so at once, the last one counts.
func Write(path string, data []byte, mode fs.FileMode) error {
	return Create(path, mode, func(f *os.File) error {
		_, err := f.Write(data)
		return err
	})
}

// Create is Write for what is made bit by bit. When write fails, nothing has changed. A
// process that is killed leaves a draft beside the file, whose name begins with a dot.
func Create(path string, mode fs.FileMode, write func(f *os.File) error) error {
	draft, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	err = errors.Join(write(draft), draft.Chmod(mode), draft.Close())
	if err == nil {
		err = os.Rename(draft.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(draft.Name()))
	}
	return nil
}
