package metrics

import "encoding/binary"

// The ways in which a column of whole numbers is stored.
const (
	intsPlain = 0 // each as a varint
	intsRuns  = 1 // pairs of a varint and how often it comes, a uvarint
)

// appendInts writes a column of whole numbers in the shorter way. Its length
// is not stored.
func appendInts(dst []byte, values []int64) []byte {
	runs := 0
	for i, v := range values {
		if i == 0 || v != values[i-1] {
			runs++
		}
	}
	if 2*runs > len(values) {
		dst = append(dst, intsPlain)
		for _, v := range values {
			dst = binary.AppendVarint(dst, v)
		}
		return dst
	}
	dst = append(dst, intsRuns)
	for i := 0; i < len(values); {
		end := i + 1
		for end < len(values) && values[end] == values[i] {
			end++
		}
		dst = binary.AppendVarint(dst, values[i])
		dst = binary.AppendUvarint(dst, uint64(end-i))
		i = end
	}
	return dst
}

// ints fills a column that appendInts wrote.
func (p *parser) ints(values []int64) {
	switch p.byte() {
	case intsPlain:
		for i := range values {
			values[i] = p.varint()
		}
	case intsRuns:
		for len(values) > 0 && !p.bad {
			v, n := p.varint(), p.uvarint()
			if n == 0 || n > uint64(len(values)) {
				p.bad = true
				return
			}
			for i := range values[:n] {
				values[i] = v
			}
			values = values[n:]
		}
	default:
		p.bad = true
	}
}

// appendDeltas writes the differences from number to number, the first from 0.
// It changes values.
func appendDeltas(dst []byte, values []int64) []byte {
	last := int64(0)
	for i, v := range values {
		values[i], last = v-last, v
	}
	return appendInts(dst, values)
}

func (p *parser) deltas(values []int64) {
	p.ints(values)
	last := int64(0)
	for i, v := range values {
		last += v
		values[i] = last
	}
}

// timeUnits are the units that the times of a frame may be counted in, in
// nanoseconds. Their place here is what is stored.
var timeUnits = [...]int64{1, 1e3, 1e6, 1e9}

// appendTimes writes the coarsest unit that all times are multiples of, and
// the times counted in it, as differences. It changes times.
func appendTimes(dst []byte, times []int64) []byte {
	unit := len(timeUnits) - 1
	for _, t := range times {
		for t%timeUnits[unit] != 0 {
			unit--
		}
	}
	for i := range times {
		times[i] /= timeUnits[unit]
	}
	return appendDeltas(append(dst, byte(unit)), times)
}

func (p *parser) times(times []int64) {
	unit := p.byte()
	if int(unit) >= len(timeUnits) {
		p.bad = true
		return
	}
	p.deltas(times)
	for i := range times {
		times[i] *= timeUnits[unit]
	}
}
