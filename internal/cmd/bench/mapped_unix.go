//go:build unix

package main

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// mappedLog is a file that is appended to through memory: the least that
// keeps a point when the process dies.
type mappedLog struct {
	mu   sync.Mutex
	file *os.File
	mem  []byte
	off  int
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// newMappedLog makes the file, with all its pages touched.
func newMappedLog(path string) (*mappedLog, error) {
	const size = 16 << 20
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(make([]byte, size)); err != nil {
		return nil, err
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	return &mappedLog{file: f, mem: mem}, err
}

// append adds a point with its checksum. A full file begins again.
func (m *mappedLog) append(point []byte) {
	m.mu.Lock()
	if m.off+4+len(point) > len(m.mem) {
		m.off = 0
	}
	end := m.off + 4 + copy(m.mem[m.off+4:], point)
	binary.LittleEndian.PutUint32(m.mem[m.off:], crc32.Checksum(m.mem[m.off+4:end], castagnoli))
	m.off = end
	m.mu.Unlock()
}

func (m *mappedLog) close() {
	_ = unix.Munmap(m.mem)
	_ = m.file.Close()
}
