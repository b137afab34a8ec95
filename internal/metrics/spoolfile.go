package metrics

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"

	"github.com/azml-go/azml"
)

// spoolFile is the file that a writer appends to. It is one mapping of fixed
// size; when it is full the writer makes the next.
type spoolFile struct {
	m      *mapping
	number uint32
	off    int
	crc    uint32
	ids    uint32
	time   int64
	head   [maxRecordHead]byte // here and not on the stack, which would cost zeroing it for each point
}

// createSpool makes a spool file that has room for at least need bytes of
// records.
func createSpool(path string, header spoolHeader, size, need int) (*spoolFile, error) {
	size = max(size, header.size()+need)
	m, err := createMapping(path, size)
	if err != nil {
		return nil, fmt.Errorf("%w: make spool file for metrics: %w", azml.ErrUnavailable, err)
	}
	header.salt = rand.Uint64()
	b, crc := header.append(m.mem[:0])
	f := &spoolFile{m: m, number: header.number, off: len(b), crc: crc}
	if err := m.commit(0, len(b)); err != nil {
		m.discard()
		return nil, fmt.Errorf("%w: write spool file for metrics: %w", azml.ErrUnavailable, err)
	}
	return f, nil
}

// slot is what a spool file knows of one name and type.
type slot struct {
	file uint32 // the number of the file plus 1; anything else says that id is not of this file
	id   uint32
	step int64
}

// room is how many bytes the next point of a name may take at most, with the
// definition of the name.
func room(name string, v raw) int { return 2*maxRecordHead + len(name) + len(v.blob) }

func (f *spoolFile) fits(n int) bool { return n <= len(f.m.mem)-f.off }

// put appends a point. The caller has made sure that it fits.
func (f *spoolFile) put(s *slot, name string, kind kindCode, v raw, step, nanos int64) error {
	if s.file != f.number+1 {
		if err := f.define(s, name, kind, v.typ); err != nil {
			return err
		}
	}
	head := f.head[:]
	n := binary.PutUvarint(head, uint64(s.id))
	n += binary.PutVarint(head[n:], step-s.step)
	n += binary.PutVarint(head[n:], nanos-f.time)
	switch v.typ {
	case typeFloat:
		binary.LittleEndian.PutUint64(head[n:], v.bits)
		n += 8
	case typeInt:
		n += binary.PutVarint(head[n:], int64(v.bits))
	case typeBool:
		head[n] = byte(v.bits)
		n++
	}
	if err := f.record(head[:n], v.blob); err != nil {
		return err
	}
	s.step, f.time = step, nanos
	return nil
}

func (f *spoolFile) define(s *slot, name string, kind kindCode, typ valueType) error {
	if err := f.record([]byte{0, byte(kind), byte(typ)}, []byte(name)); err != nil {
		return err
	}
	f.ids++
	*s = slot{file: f.number + 1, id: f.ids}
	return nil
}

func (f *spoolFile) record(head, tail []byte) error {
	mem := f.m.mem
	body := f.off + 4
	end := body + binary.PutUvarint(mem[body:], uint64(len(head)+len(tail)))
	end += copy(mem[end:], head)
	end += copy(mem[end:], tail)
	crc := crc32.Update(f.crc, castagnoli, mem[body:end])
	// Last, so that a record that was being written has none: see tornOnly.
	binary.LittleEndian.PutUint32(mem[f.off:], crc)
	if err := f.m.commit(f.off, end); err != nil {
		return fmt.Errorf("%w: write spool file for metrics: %w", azml.ErrUnavailable, err)
	}
	f.off, f.crc = end, crc
	return nil
}
