package metrics

import (
	"errors"
	"hash/crc32"
	"unicode/utf8"
)

var errChecksum = errors.New("the checksum does not match")

// frameReader gives the points of one frame.
type frameReader struct {
	frameHeader
	order []int64
	times []int64
	parts []*part
	at    int
	taken []int // of each part, the next point
}

// readFrame takes a payload apart. Blobs stay in it.
func readFrame(h frameHeader, payload []byte) (*frameReader, error) {
	if uint64(len(payload)) != h.length || crc32.Checksum(payload, castagnoli) != h.crc {
		return nil, errChecksum
	}
	p := &parser{b: payload}
	r := &frameReader{frameHeader: h, order: make([]int64, h.count), times: make([]int64, h.count)}
	n := p.count()
	if n == 0 || n > int(h.count) {
		return nil, errShort
	}
	for range n {
		s := &series{kind: kindCode(p.byte()), typ: valueType(p.byte()), name: string(p.bytes())}
		if p.bad || !s.kind.known() || !s.typ.known() || !utf8.ValidString(s.name) {
			return nil, errShort
		}
		r.parts = append(r.parts, &part{series: s})
	}
	p.order(r.order, int64(n))
	p.times(r.times)
	if p.bad {
		return nil, errShort
	}
	counts := make([]int, n)
	for _, id := range r.order {
		counts[id]++
	}
	for i, part := range r.parts {
		part.read(p, counts[i])
	}
	r.taken = make([]int, n)
	return r, p.end()
}

func (t *part) read(p *parser, n int) {
	t.steps = make([]int64, n)
	p.deltas(t.steps)
	switch t.series.typ {
	case typeFloat:
		t.bits = make([]uint64, n)
		p.floats(t.bits)
	case typeInt, typeBool:
		numbers := make([]int64, n)
		if t.series.typ == typeInt {
			p.deltas(numbers)
		} else {
			p.ints(numbers)
		}
		t.bits = make([]uint64, n)
		for i, v := range numbers {
			t.bits[i] = uint64(v)
		}
	case typeNil:
	default:
		t.blobs = make([][]byte, n)
		for i := range t.blobs {
			t.blobs[i] = p.bytes()
		}
	}
}

// next reads the next point into e, false at the end.
func (r *frameReader) next(e *entry) bool {
	if r.at == len(r.order) {
		return false
	}
	id := r.order[r.at]
	p, i := r.parts[id], r.taken[id]
	*e = entry{series: p.series, seq: r.first + uint64(r.at), step: p.steps[i], time: r.times[r.at]}
	if p.bits != nil {
		e.bits = p.bits[i]
	}
	if p.blobs != nil {
		e.blob = p.blobs[i]
	}
	r.taken[id]++
	r.at++
	return true
}
