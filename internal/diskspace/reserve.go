// Package diskspace takes space on a disk before it is written to.
package diskspace

import "os"

// Reserve makes the file size bytes long, the new ones zero, with their space on the
// disk taken: writing them can't fail for want of it, and costs less where all comes
// at once. Errors: errors.ErrUnsupported where the system or the file system can't,
// and then nothing was done; else those of the system, such as for a full disk.
func Reserve(f *os.File, size int64) error {
	if err := reserve(f, size); err != nil {
		return &os.PathError{Op: "reserve space", Path: f.Name(), Err: err}
	}
	return nil
}
