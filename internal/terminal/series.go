package terminal

import "math"

// Series keeps the shape of a series of any length in bounded memory: while
// there are few points each of them, later the mean and the range of
// neighbours. The zero Series is not ready for use.
type Series struct {
	limit   int
	stride  int // points in a full bucket
	buckets []bucket
}

// bucket is one or more points that follow each other.
type bucket struct {
	x, end          float64 // of the first and the last
	mean, low, high float64
	n               int
}

// NewSeries makes an empty series that keeps at most limit points, 2 at least;
// beyond them it keeps half of that to limit means.
func NewSeries(limit int) *Series { return &Series{limit: max(2, limit) &^ 1, stride: 1} }

// Add appends a point. One that is not finite is left out: there is no place
// for it in a picture.
func (s *Series) Add(x, y float64) {
	if math.IsNaN(y) || math.IsInf(y, 0) {
		return
	}
	if n := len(s.buckets); n > 0 && s.buckets[n-1].n < s.stride {
		s.buckets[n-1] = join(s.buckets[n-1], bucket{x, x, y, y, y, 1})
		return
	}
	if len(s.buckets) == s.limit {
		for i := range s.limit / 2 {
			s.buckets[i] = join(s.buckets[2*i], s.buckets[2*i+1])
		}
		s.buckets = s.buckets[:s.limit/2]
		s.stride *= 2
	}
	s.buckets = append(s.buckets, bucket{x, x, y, y, y, 1})
}

// Len gives the number of points or means that are kept.
func (s *Series) Len() int { return len(s.buckets) }

func join(a, b bucket) bucket {
	n := a.n + b.n
	part := float64(a.n) / float64(n)
	return bucket{a.x, b.end, a.mean*part + b.mean*(1-part), min(a.low, b.low), max(a.high, b.high), n}
}
