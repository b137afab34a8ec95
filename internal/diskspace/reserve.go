// Package diskspace takes space on a disk before it is written to.
package diskspace

import "os"

// Reserve makes a file that is shorter size bytes long, the new ones zero, with the space
// for all of them taken on the disk: writing them costs less, and can't fail for want of
// it but on file systems that write elsewhere than where they reserve. Errors: those of
// the system when there is too little space, or none of that size allowed;
// errors.ErrUnsupported where it can't be reserved, when nothing was done.
func Reserve(f *os.File, size int64) error {
	if err := reserve(f, size); err != nil {
		return &os.PathError{Op: "reserve space", Path: f.Name(), Err: err}
	}
	return nil
}
