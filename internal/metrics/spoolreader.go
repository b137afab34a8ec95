package metrics

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/azml-go/azml"
)

const (
	minSpoolRead = 4 << 10
	maxSpoolRead = 256 << 10
)

// spoolReader gives the points of one spool file, also while it grows.
type spoolReader struct {
	spoolHeader
	f      *os.File
	off    int64 // where the next record begins
	crc    uint32
	series []*series
	steps  []int64
	time   int64
	seq    uint64 // of the last point given
	room   []byte
	buf    []byte // what was read of the file from off on
	size   int    // how much to read next time
}

// openSpool opens the file. The error wraps errNoHeader when the file does not
// begin with a whole header, and fs.ErrNotExist when it is gone.
func openSpool(path string) (*spoolReader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: open spool file of metrics: %w", azml.ErrUnavailable, err)
	}
	r := &spoolReader{f: f, size: minSpoolRead}
	if err := r.start(); err != nil {
		_ = f.Close()
		return nil, err
	}
	return r, nil
}

func (r *spoolReader) start() error {
	b := make([]byte, spoolHeaderSize+maxPrefixLen)
	n, err := r.f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: read spool file of metrics: %w", azml.ErrUnavailable, err)
	}
	h, crc, err := parseSpoolHeader(b[:n])
	if err != nil {
		return fmt.Errorf("%w: %s: %w", azml.ErrDamaged, r.f.Name(), err)
	}
	r.spoolHeader, r.crc, r.off, r.seq = h, crc, int64(h.size()), h.first-1
	return nil
}

func (r *spoolReader) close() { _ = r.f.Close() }

// next reads the next point into e. It gives false when there is no further
// whole record now; more may come when it is asked again. Errors: ErrDamaged
// for a record that passes its checksum and makes no sense.
func (r *spoolReader) next(e *entry) (bool, error) {
	for {
		body, total, err := r.record()
		if body == nil || err != nil {
			return false, err
		}
		point, err := r.parse(body, e)
		if err != nil {
			return false, fmt.Errorf("%w: %s at offset %d: %w", azml.ErrDamaged, r.f.Name(), r.off, err)
		}
		r.crc = binary.LittleEndian.Uint32(r.buf)
		r.buf, r.off = r.buf[total:], r.off+int64(total)
		if point {
			r.seq++
			e.seq = r.seq
			return true, nil
		}
	}
}

// record gives the body and the size of the record at off, nil when there is
// no whole one. Bytes read earlier may be older than the record, so before it
// says no it has read the file again.
func (r *spoolReader) record() (body []byte, total int, err error) {
	body, total, need := cutRecord(r.buf, r.crc)
	for body == nil {
		before := len(r.buf)
		if err := r.fill(need); err != nil {
			return nil, 0, err
		}
		if body, total, need = cutRecord(r.buf, r.crc); body == nil && (need <= len(r.buf) || len(r.buf) <= before) {
			r.buf, r.size = nil, minSpoolRead
			return nil, 0, nil
		}
	}
	return body, total, nil
}

// fill reads at least need bytes of the file from off on, as far as it has
// them.
func (r *spoolReader) fill(need int) error {
	info, err := r.f.Stat()
	if err != nil {
		return fmt.Errorf("%w: read spool file of metrics: %w", azml.ErrUnavailable, err)
	}
	n := int(min(int64(max(need, r.size)), max(0, info.Size()-r.off)))
	r.size = min(2*r.size, maxSpoolRead)
	if cap(r.room) < n {
		r.room = make([]byte, max(n, minSpoolRead))
	}
	n, err = r.f.ReadAt(r.room[:n], r.off)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: read spool file of metrics: %w", azml.ErrUnavailable, err)
	}
	r.buf = r.room[:n]
	return nil
}

// cutRecord gives the body and the size of the record that b begins with. When
// there is none the body is nil and need says how many bytes would tell.
func cutRecord(b []byte, crc uint32) (body []byte, total, need int) {
	if len(b) < 5 {
		return nil, 0, 5
	}
	length, n := binary.Uvarint(b[4:])
	switch {
	case n == 0:
		return nil, 0, 4 + binary.MaxVarintLen64
	case n < 0 || length == 0 || length > 1<<48:
		return nil, 0, 0
	}
	total = 4 + n + int(length)
	if total > len(b) {
		return nil, 0, total
	}
	if crc32.Update(crc, castagnoli, b[4:total]) != binary.LittleEndian.Uint32(b) {
		return nil, 0, 0
	}
	return b[4+n : total], total, 0
}

// parse takes a body apart; false says that it defined a name.
func (r *spoolReader) parse(body []byte, e *entry) (bool, error) {
	p := parser{b: body}
	id := p.uvarint()
	if id == 0 {
		s := &series{kind: kindCode(p.byte()), typ: valueType(p.byte()), name: string(p.b)}
		if p.bad || !s.kind.known() || !s.typ.known() {
			return false, errShort
		}
		r.series, r.steps = append(r.series, s), append(r.steps, 0)
		return false, nil
	}
	if id > uint64(len(r.series)) {
		return false, fmt.Errorf("name %d is not defined", id)
	}
	e.series, e.blob, e.bits = r.series[id-1], nil, 0
	e.step, e.time = r.steps[id-1]+p.varint(), r.time+p.varint()
	switch e.series.typ {
	case typeFloat:
		e.bits = p.uint64()
	case typeInt:
		e.bits = uint64(p.varint())
	case typeBool:
		e.bits = uint64(p.byte())
	case typeNil:
	default:
		e.blob = p.take(uint64(len(p.b)))
	}
	if err := p.end(); err != nil {
		return false, err
	}
	r.steps[id-1], r.time = e.step, e.time
	return true, nil
}

// tornOnly tells whether what follows the last whole record can only be the
// one that was being written when the process died: a record's CRC is written
// last, and beyond the record all is zero. Anything else is damage to records
// that were whole before.
func (r *spoolReader) tornOnly() (bool, error) {
	head := make([]byte, 4+binary.MaxVarintLen64)
	n, err := r.f.ReadAt(head, r.off)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	end := r.off + int64(n)
	length, k := binary.Uvarint(head[4:])
	if k > 0 && length < 1<<48 {
		end = max(end, r.off+int64(4+k)+int64(length))
	}
	if stored := head[:4]; string(stored) != "\x00\x00\x00\x00" {
		if partly, err := r.crcPartly(stored, end); !partly || err != nil {
			return false, err
		}
	}
	return zeroFrom(r.f, end)
}

// crcPartly tells whether the stored CRC of the record that reaches to end is
// its right one but for bytes that are still zero: not every machine writes
// all four at once.
func (r *spoolReader) crcPartly(stored []byte, end int64) (bool, error) {
	info, err := r.f.Stat()
	if err != nil || end > info.Size() {
		return false, err
	}
	record := make([]byte, end-r.off)
	if _, err := r.f.ReadAt(record, r.off); err != nil {
		return false, err
	}
	length, n := binary.Uvarint(record[4:])
	if n <= 0 || 4+n+int(length) > len(record) {
		return false, nil
	}
	var want [4]byte
	binary.LittleEndian.PutUint32(want[:], crc32.Update(r.crc, castagnoli, record[4:4+n+int(length)]))
	for i, b := range stored {
		if b != 0 && b != want[i] {
			return false, nil
		}
	}
	return true, nil
}

func zeroFrom(f *os.File, off int64) (bool, error) {
	b := make([]byte, 64<<10)
	for {
		n, err := f.ReadAt(b, off)
		for _, c := range b[:n] {
			if c != 0 {
				return false, nil
			}
		}
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		off += int64(n)
	}
}
