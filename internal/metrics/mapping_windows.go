package metrics

import "os"

// mapping is a new file and a copy of its bytes in memory. Every commit writes
// through to the operating system, which keeps the bytes when the process
// dies. (A mapped file can't be deleted while a reader has it open here.)
type mapping struct {
	mem  []byte
	path string
	file *os.File
}

func createMapping(path string, size int) (*mapping, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &mapping{mem: make([]byte, size), path: path, file: f}, nil
}

// commit makes mem[from:to] survive the process.
func (m *mapping) commit(from, to int) error {
	_, err := m.file.WriteAt(m.mem[from:to], int64(from))
	return err
}

// close ends the use of the memory. The file stays.
func (m *mapping) close() error {
	m.mem = nil
	return m.file.Close()
}

// discard closes and deletes the file.
func (m *mapping) discard() {
	_ = m.close()
	_ = os.Remove(m.path)
}
