package metrics

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"math"
	"slices"
	"unicode/utf8"
)

// A digest holds what is computed from sealed points: a summary of each metric
// and its chart.
//
//	digest: magic "azmldig1" · table length u64 · table · levels
//	table:  writers uvarint, each 16 bytes · metrics uvarint, for each: name ·
//	        count, numbers, NaNs uvarint · min, max, sum 8 bytes each · first
//	        and last point · levels uvarint, for each: buckets uvarint, offset
//	        behind the table uvarint, length uvarint
//	point:  kind u8 · type u8 · writer uvarint · seq uvarint · step, time and
//	        latest varint · value: 8 bytes for a float, a varint for an int, a
//	        byte for a bool, nothing for null, else bytes
//	level:  first steps (deltas) · last less first steps, numbers, NaNs (ints) ·
//	        min, max, sum (floats)
//
// Metrics are sorted by name. Bytes are a length uvarint and the bytes.
const (
	digestMagic      = "azmldig1"
	digestHeaderSize = 8 + 8
)

// metricDigest is what a digest has of one metric.
type metricDigest struct {
	summing
	pyramid
	stored []storedLevel
}

// storedLevel is where a level is.
type storedLevel struct {
	buckets        int
	offset, length int64
}

// add takes a point in.
func (m *metricDigest) add(h head) error {
	if err := m.summing.add(h); err != nil || h.series.kind != codeScalar {
		return err
	}
	if v, ok := number(h.series.typ, h.bits); ok {
		m.pyramid.add(h.step, v)
	}
	return nil
}

// digest is the digests of all metrics of a log.
type digest struct {
	metrics map[string]*metricDigest
	obj     *checkedObject // when read
	levels  int64          // where the levels begin in it
}

func (d *digest) add(h head) error {
	m := d.metrics[h.series.name]
	if m == nil {
		m = &metricDigest{}
		d.metrics[h.series.name] = m
	}
	return m.add(h)
}

// encode gives the stored form.
func (d *digest) encode() []byte {
	writers := map[string]uint64{}
	var ids, table, levels []byte
	writer := func(id string) uint64 {
		n, ok := writers[id]
		if !ok {
			n = uint64(len(writers))
			writers[id] = n
			ids = append(ids, id...)
		}
		return n
	}
	for _, name := range slices.Sorted(maps.Keys(d.metrics)) {
		m := d.metrics[name]
		table = appendBytes(table, []byte(name))
		for _, n := range []int64{m.sum.Count, m.sum.Numbers, m.sum.NaNs} {
			table = binary.AppendUvarint(table, uint64(n))
		}
		for _, f := range []float64{m.sum.Min, m.sum.Max, m.sum.Sum} {
			table = binary.LittleEndian.AppendUint64(table, math.Float64bits(f))
		}
		table = m.first.append(table, writer)
		table = m.last.append(table, writer)
		all := m.pyramid.levels()
		table = binary.AppendUvarint(table, uint64(len(all)))
		for _, level := range all {
			start := len(levels)
			levels = appendLevel(levels, level)
			for _, n := range []int{len(level), start, len(levels) - start} {
				table = binary.AppendUvarint(table, uint64(n))
			}
		}
	}
	head := binary.AppendUvarint(nil, uint64(len(writers)))
	head = binary.AppendUvarint(append(head, ids...), uint64(len(d.metrics)))
	out := binary.LittleEndian.AppendUint64([]byte(digestMagic), uint64(len(head)+len(table)))
	return slices.Concat(out, head, table, levels)
}

func (p *logged) append(dst []byte, writer func(id string) uint64) []byte {
	dst = append(dst, byte(p.series.kind), byte(p.series.typ))
	dst = binary.AppendUvarint(dst, writer(p.writer))
	dst = binary.AppendUvarint(dst, p.seq)
	for _, n := range []int64{p.step, p.time, p.latest} {
		dst = binary.AppendVarint(dst, n)
	}
	switch p.series.typ {
	case typeFloat:
		return binary.LittleEndian.AppendUint64(dst, p.bits)
	case typeInt:
		return binary.AppendVarint(dst, int64(p.bits))
	case typeBool:
		return append(dst, byte(p.bits))
	case typeNil:
		return dst
	}
	return appendBytes(dst, p.blob)
}

func appendLevel(dst []byte, level []Bucket) []byte {
	whole := func(of func(*Bucket) int64) []int64 {
		out := make([]int64, len(level))
		for i := range level {
			out[i] = of(&level[i])
		}
		return out
	}
	floats := func(of func(*Bucket) float64) []uint64 {
		out := make([]uint64, len(level))
		for i := range level {
			out[i] = math.Float64bits(of(&level[i]))
		}
		return out
	}
	dst = appendDeltas(dst, whole(func(b *Bucket) int64 { return b.FirstStep }))
	dst = appendInts(dst, whole(func(b *Bucket) int64 { return b.LastStep - b.FirstStep }))
	dst = appendInts(dst, whole(func(b *Bucket) int64 { return b.Numbers }))
	dst = appendInts(dst, whole(func(b *Bucket) int64 { return b.NaNs }))
	dst = appendFloats(dst, floats(func(b *Bucket) float64 { return b.Min }))
	dst = appendFloats(dst, floats(func(b *Bucket) float64 { return b.Max }))
	return appendFloats(dst, floats(func(b *Bucket) float64 { return b.Sum }))
}

// openDigest reads the summaries of a digest. Errors: ErrDamaged; ErrNotFound
// when the log was sealed anew.
func (l *Log) openDigest(ctx context.Context, s *sealed) (*digest, error) {
	d := &digest{obj: l.sealedObject(ctx, s.Digest)}
	err := d.obj.guard(func() error {
		var head [digestHeaderSize]byte
		if _, err := d.obj.ReadAt(head[:], 0); err != nil {
			return err
		}
		length := binary.LittleEndian.Uint64(head[8:])
		if string(head[:8]) != digestMagic || length > uint64(s.Digest.Size-digestHeaderSize) {
			return errors.New("no digest begins here")
		}
		table := make([]byte, length)
		if _, err := d.obj.ReadAt(table, digestHeaderSize); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		d.levels = digestHeaderSize + int64(length)
		return d.parse(table)
	})
	return d, err
}

func (d *digest) parse(table []byte) error {
	p := &parser{b: table}
	writers := make([]string, p.count())
	for i := range writers {
		writers[i] = string(p.take(writerIDLen))
	}
	n := p.count()
	d.metrics = make(map[string]*metricDigest, n)
	for range n {
		name := string(p.bytes())
		m := &metricDigest{}
		m.sum = Summary{Count: int64(p.uvarint()), Tally: Tally{Numbers: int64(p.uvarint()), NaNs: int64(p.uvarint()),
			Min: math.Float64frombits(p.uint64()), Max: math.Float64frombits(p.uint64())}, Sum: math.Float64frombits(p.uint64())}
		p.logged(&m.first, name, writers)
		p.logged(&m.last, name, writers)
		m.stored = make([]storedLevel, p.count())
		for i := range m.stored {
			m.stored[i] = storedLevel{buckets: int(p.uvarint()), offset: int64(p.uvarint()), length: int64(p.uvarint())}
		}
		if p.bad || d.metrics[name] != nil || !utf8.ValidString(name) {
			return errShort
		}
		d.metrics[name] = m
	}
	return p.end()
}

func (p *parser) logged(dst *logged, name string, writers []string) {
	s := &series{name: name, kind: kindCode(p.byte()), typ: valueType(p.byte())}
	writer := p.uvarint()
	if writer >= uint64(len(writers)) || !s.kind.known() || !s.typ.known() {
		p.bad = true
		return
	}
	dst.series, dst.writer, dst.seq = s, writers[writer], p.uvarint()
	dst.step, dst.time, dst.latest = p.varint(), p.varint(), p.varint()
	switch s.typ {
	case typeFloat:
		dst.bits = p.uint64()
	case typeInt:
		dst.bits = uint64(p.varint())
	case typeBool:
		dst.bits = uint64(p.byte())
	case typeNil:
	default:
		dst.blob = slices.Clone(p.bytes())
	}
}

// level reads one level of a metric's chart.
func (d *digest) level(s storedLevel) (level []Bucket, err error) {
	err = d.obj.guard(func() error {
		if s.offset < 0 || s.length < 0 || s.length > d.obj.stored.Size || int64(s.buckets) > s.length*baseNumbers {
			return errShort
		}
		data := make([]byte, s.length)
		if n, err := d.obj.ReadAt(data, d.levels+s.offset); n < len(data) {
			return errors.Join(errShort, err)
		}
		level, err = parseLevel(data, s.buckets)
		return err
	})
	return level, err
}

func parseLevel(data []byte, n int) ([]Bucket, error) {
	p := &parser{b: data}
	level := make([]Bucket, n)
	ints, bits := make([]int64, n), make([]uint64, n)
	p.deltas(ints)
	for i, v := range ints {
		level[i].FirstStep = v
	}
	for _, set := range []func(b *Bucket, v int64){
		func(b *Bucket, v int64) { b.LastStep = b.FirstStep + v },
		func(b *Bucket, v int64) { b.Numbers = v },
		func(b *Bucket, v int64) { b.NaNs = v },
	} {
		p.ints(ints)
		for i, v := range ints {
			set(&level[i], v)
		}
	}
	for _, set := range []func(b *Bucket, v float64){
		func(b *Bucket, v float64) { b.Min = v },
		func(b *Bucket, v float64) { b.Max = v },
		func(b *Bucket, v float64) { b.Sum = v },
	} {
		p.floats(bits)
		for i, v := range bits {
			set(&level[i], math.Float64frombits(v))
		}
	}
	return level, p.end()
}
