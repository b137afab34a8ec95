package metrics

import (
	"encoding/binary"
	"hash/crc32"
)

// A segment object is frames, back to back. A frame is a header and a payload;
// fixed numbers are little endian.
//
//	header:  magic "azf1" · payload length u64 · first seq u64 · count u32 ·
//	         payload CRC u32 · header CRC u32
//	payload: series count uvarint, and for each: kind byte · type byte ·
//	         name (length uvarint, bytes)
//	         which series each point is of (ints; see appendOrder)
//	         times of the points (unit byte, deltas)
//	         for each series: steps (deltas), values
//	values:  floats: as appendFloats; ints: deltas; bools: ints; nil: nothing;
//	         other types: for each a length uvarint and bytes
//
// The points of a frame are consecutive. The CRCs are CRC-32C; the header's
// covers the header's bytes before it, so that a damaged length is never taken
// for a frame that was cut off.
const (
	frameMagic      = "azf1"
	frameHeaderSize = 4 + 8 + 8 + 4 + 4 + 4
	maxFramePoints  = 1 << 16
)

type frameHeader struct {
	length uint64
	first  uint64
	count  uint32
	crc    uint32
}

func (h frameHeader) last() uint64 { return h.first + uint64(h.count) - 1 }

func (h frameHeader) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, frameMagic...)
	dst = binary.LittleEndian.AppendUint64(dst, h.length)
	dst = binary.LittleEndian.AppendUint64(dst, h.first)
	dst = binary.LittleEndian.AppendUint32(dst, h.count)
	dst = binary.LittleEndian.AppendUint32(dst, h.crc)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// parseFrameHeader gives false when b is no header.
func parseFrameHeader(b []byte) (frameHeader, bool) {
	p := parser{b: b}
	magic := string(p.take(uint64(len(frameMagic))))
	h := frameHeader{length: p.uint64(), first: p.uint64(), count: p.uint32(), crc: p.uint32()}
	want := p.uint32()
	ok := !p.bad && magic == frameMagic && crc32.Checksum(b[:frameHeaderSize-4], castagnoli) == want
	return h, ok && h.first > 0 && h.count > 0 && h.count <= maxFramePoints && h.last() >= h.first && h.length < 1<<48
}

// batch collects consecutive points for a frame.
type batch struct {
	first uint64
	size  int // about, in bytes
	index map[*series]int64
	order []int64
	times []int64
	parts []*part
}

// part is the points of one series in a batch.
type part struct {
	series *series
	steps  []int64
	bits   []uint64
	blobs  [][]byte
}

func (b *batch) count() int { return len(b.order) }

// next is the number of the point that can be added, 0 when any can.
func (b *batch) next() uint64 { return b.first + uint64(b.count()) }

func (b *batch) follows(e *entry) bool { return b.count() == 0 || e.seq == b.next() }

func (b *batch) add(e *entry) {
	if b.count() == 0 {
		b.first, b.index = e.seq, make(map[*series]int64)
	}
	id, ok := b.index[e.series]
	if !ok {
		id = int64(len(b.parts))
		b.index[e.series] = id
		b.parts = append(b.parts, &part{series: e.series})
		b.size += len(e.series.name)
	}
	b.order, b.times = append(b.order, id), append(b.times, e.time)
	p := b.parts[id]
	p.steps = append(p.steps, e.step)
	switch e.series.typ {
	case typeFloat, typeInt, typeBool:
		p.bits = append(p.bits, e.bits)
	case typeNil:
	default:
		p.blobs = append(p.blobs, append([]byte(nil), e.blob...))
	}
	b.size += 16 + len(e.blob)
}

// frame gives the stored form of the batch, which is of no use after that.
func (b *batch) frame() []byte {
	out := make([]byte, frameHeaderSize, frameHeaderSize+b.size)
	out = binary.AppendUvarint(out, uint64(len(b.parts)))
	for _, p := range b.parts {
		out = append(out, byte(p.series.kind), byte(p.series.typ))
		out = appendBytes(out, []byte(p.series.name))
	}
	out = appendOrder(out, b.order, int64(len(b.parts)))
	out = appendTimes(out, b.times)
	for _, p := range b.parts {
		out = p.append(out)
	}
	payload := out[frameHeaderSize:]
	header := frameHeader{
		length: uint64(len(payload)), first: b.first, count: uint32(b.count()),
		crc: crc32.Checksum(payload, castagnoli),
	}
	header.append(out[:0])
	return out
}

func (t *part) append(dst []byte) []byte {
	dst = appendDeltas(dst, t.steps)
	switch t.series.typ {
	case typeFloat:
		return appendFloats(dst, t.bits)
	case typeInt:
		return appendDeltas(dst, signed(t.bits))
	case typeBool:
		return appendInts(dst, signed(t.bits))
	}
	for _, blob := range t.blobs {
		dst = appendBytes(dst, blob)
	}
	return dst
}

func signed(bits []uint64) []int64 {
	out := make([]int64, len(bits))
	for i, b := range bits {
		out[i] = int64(b)
	}
	return out
}

// appendOrder writes the series of each point as its distance, going round,
// from the one after the series of the point before: all zeros when a program
// logs the same names in the same order in every step. It changes order.
func appendOrder(dst []byte, order []int64, series int64) []byte {
	expected := int64(0)
	for i, id := range order {
		order[i] = (id - expected + series) % series
		expected = (id + 1) % series
	}
	return appendInts(dst, order)
}

func (p *parser) order(order []int64, series int64) {
	p.ints(order)
	expected := int64(0)
	for i, d := range order {
		if d < 0 || d >= series {
			p.bad = true
			return
		}
		order[i] = (expected + d) % series
		expected = (order[i] + 1) % series
	}
}
