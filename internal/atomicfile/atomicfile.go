// Package atomicfile puts files in place whole or not at all: who reads one, or is killed
// while it writes one, finds what was there before or all of what is new. After a loss of
// power that holds only where the writer asked for it by [os.File.Sync].
package atomicfile

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Write puts data into a file, which it makes or replaces, with the mode that the umask
// leaves of the one given. Any number of processes may do
// so at once, the last one counts.
func Write(path string, data []byte, mode fs.FileMode) error {
	return Create(path, mode, func(f *os.File) error {
		_, err := f.Write(data)
		return err
	})
}

// Create is Write for what is made bit by bit. When write fails, nothing has changed. A
// process that is killed leaves a draft beside the file, whose name begins with ".new-".
func Create(path string, mode fs.FileMode, write func(f *os.File) error) error {
	draft, err := os.OpenFile(filepath.Join(filepath.Dir(path), ".new-"+rand.Text()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	err = errors.Join(write(draft), draft.Close())
	if err == nil {
		err = os.Rename(draft.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(draft.Name()))
	}
	return nil
}
