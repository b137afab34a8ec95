//go:build !windows

package metrics

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/azml-go/azml/internal/diskspace"
)

// mapping is a new file whose bytes are written through memory that the
// operating system owns, so that they outlive the process.
type mapping struct {
	mem  []byte
	path string
}

// createMapping makes the file, full of zeros, with its disk space allotted:
// touching a page of a file with holes on a full disk would be a SIGBUS.
func createMapping(path string, size int) (_ *mapping, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	defer func() {
		if err != nil {
			_ = os.Remove(path)
		}
	}()
	err = diskspace.Reserve(f, int64(size))
	if errors.Is(err, errors.ErrUnsupported) {
		err = writeZeros(f, int64(size))
	}
	if err != nil {
		return nil, err
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, &os.PathError{Op: "mmap", Path: path, Err: err}
	}
	return &mapping{mem: mem, path: path}, nil
}

// commit makes mem[from:to] survive the process: here it does already.
func (m *mapping) commit(_, _ int) error { return nil }

// close ends the use of the memory. The file stays.
func (m *mapping) close() error {
	mem := m.mem
	m.mem = nil
	return unix.Munmap(mem)
}

// discard closes and deletes the file.
func (m *mapping) discard() {
	_ = m.close()
	_ = os.Remove(m.path)
}
