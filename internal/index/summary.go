package index

import (
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/azml-go/azml/internal/metrics"
)

// Summary is what the points of one metric of a run come to.
type Summary struct {
	// Kind is the kind of the last point.
	Kind metrics.Kind
	// Count is the number of points.
	Count int64
	// Tally is of those that are numbers.
	metrics.Tally
	// Number says that the last point is a number, NaN among them: Last.
	Number bool
	// Last is the last point's number.
	Last float64
	// Step and Time are the last point's.
	Step int64
	// Time is when the last point was logged.
	Time time.Time

	last metrics.Order // the last point's place, while the run goes on
}

// Summaries are the summaries of a run's metrics by name.
type Summaries map[string]Summary

// whole takes over the summaries of an ended run.
func whole(sums map[string]metrics.Summary) Summaries {
	out := make(Summaries, len(sums))
	for name, s := range sums {
		sum := Summary{Count: s.Count, Tally: s.Tally}
		sum.setLast(s.Last)
		out[name] = sum
	}
	return out
}

// add takes in one more point. The points of a look come in order, but some may
// belong before what an earlier look has found.
func (s Summaries) add(p metrics.Placed) {
	sum := s[p.Name]
	if sum.Count++; sum.last.Before(p.Order) {
		sum.setLast(p.Point)
		sum.last = p.Order
	}
	if v, ok := number(p.Point); ok {
		sum.Add(v)
	}
	s[p.Name] = sum
}

func (s *Summary) setLast(p metrics.Point) {
	s.Kind, s.Step, s.Time = p.Kind, p.Step, p.Time
	s.Last, s.Number = number(p)
}

// number gives the value of a scalar number.
func number(p metrics.Point) (float64, bool) {
	if p.Kind != metrics.KindScalar {
		return 0, false
	}
	switch v := p.Value.(type) {
	case float64:
		return v, true
	case int64:
		return float64(v), true
	}
	return 0, false
}

// encode gives the summaries as bytes, the same ones for the same summaries.
func (s Summaries) encode() []byte {
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(s)) {
		sum := s[name]
		b = appendText(b, name)
		b = appendText(b, string(sum.Kind))
		b = appendText(b, sum.last.Writer)
		for _, n := range []int64{sum.last.Latest, int64(sum.last.Seq), sum.Count, sum.Numbers, sum.NaNs, sum.Step, sum.Time.UnixNano()} {
			b = binary.AppendVarint(b, n)
		}
		for _, v := range []float64{sum.Min, sum.Max, sum.Last} {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
		b = append(b, 0)
		if sum.Number {
			b[len(b)-1] = 1
		}
	}
	return b
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// decodeSummaries reads what encode gave.
func decodeSummaries(data []byte) (Summaries, error) {
	s, r := Summaries{}, reader{data: data}
	for len(r.data) > 0 && !r.bad {
		name, sum := r.text(), Summary{Kind: metrics.Kind(r.text()), last: metrics.Order{Writer: r.text(), Latest: r.varint(), Seq: uint64(r.varint())}}
		sum.Count, sum.Numbers, sum.NaNs, sum.Step = r.varint(), r.varint(), r.varint(), r.varint()
		sum.Time = time.Unix(0, r.varint()).UTC()
		sum.Min, sum.Max, sum.Last = r.float(), r.float(), r.float()
		sum.Number = string(r.take(1)) == "\x01"
		s[name] = sum
	}
	if r.bad {
		return nil, errors.New("summaries of metrics are cut off")
	}
	return s, nil
}

// reader takes values from the front of data.
type reader struct {
	data []byte
	bad  bool
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.data)) {
		r.bad = true
		return nil
	}
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

func (r *reader) text() string {
	n, size := binary.Uvarint(r.data)
	if size <= 0 {
		r.bad = true
		return ""
	}
	r.data = r.data[size:]
	return string(r.take(n))
}

func (r *reader) varint() int64 {
	n, size := binary.Varint(r.data)
	if size <= 0 {
		r.bad = true
		return 0
	}
	r.data = r.data[size:]
	return n
}

func (r *reader) float() float64 {
	if b := r.take(8); b != nil {
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	return 0
}
