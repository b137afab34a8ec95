package metrics

// Bucket sums up some consecutive numbers of a metric.
type Bucket struct {
	// FirstStep and LastStep are the least and the greatest step.
	FirstStep, LastStep int64
	// Tally is of the numbers.
	Tally
	// Sum is the sum of the numbers, so the mean is Sum/Numbers.
	Sum float64
}

// pointBucket is the bucket of one number.
func pointBucket(step int64, v float64) Bucket {
	b := Bucket{FirstStep: step, LastStep: step}
	if b.Add(v) {
		b.Sum = v
	}
	return b
}

// add takes another bucket in.
func (b *Bucket) add(o *Bucket) {
	b.FirstStep, b.LastStep = min(b.FirstStep, o.FirstStep), max(b.LastStep, o.LastStep)
	b.merge(&o.Tally)
	b.Sum += o.Sum
}

// The levels of a sealed metric's chart: buckets of so many numbers, then of so
// many times as many, while a level has more than so many buckets.
const (
	baseNumbers  = 256
	levelFactor  = 4
	levelBuckets = 512
)

// pyramid collects the lowest level of a metric's chart.
type pyramid struct {
	base    []Bucket
	numbers int64 // NaN among them
}

func (p *pyramid) add(step int64, v float64) {
	b := pointBucket(step, v)
	if p.numbers%baseNumbers == 0 {
		p.base = append(p.base, b)
	} else {
		p.base[len(p.base)-1].add(&b)
	}
	p.numbers++
}

// levels gives all levels, the lowest first; none when the points themselves
// are as few as one bucket's.
func (p *pyramid) levels() [][]Bucket {
	if p.numbers <= baseNumbers {
		return nil
	}
	levels := [][]Bucket{p.base}
	for level := p.base; len(level) > levelBuckets; levels = append(levels, level) {
		higher := make([]Bucket, 0, len(level)/levelFactor+1)
		for i := range level {
			if i%levelFactor == 0 {
				higher = append(higher, level[i])
			} else {
				higher[len(higher)-1].add(&level[i])
			}
		}
		level = higher
	}
	return levels
}

// charting makes at most so many buckets of numbers that come with their place
// in the metric. A bucket holds the numbers of size places, size being the
// least power of two that will do.
type charting struct {
	limit   int
	size    int64
	buckets []Bucket
	places  []int64 // of each bucket, the first place over size
}

func (c *charting) add(place int64, b *Bucket) {
	place /= c.size
	if last := len(c.places) - 1; last >= 0 && c.places[last] == place {
		c.buckets[last].add(b)
		return
	}
	c.buckets, c.places = append(c.buckets, *b), append(c.places, place)
	for len(c.buckets) > c.limit {
		c.coarsen()
	}
}

// coarsen doubles the size.
func (c *charting) coarsen() {
	c.size *= 2
	n := 0
	for i, place := range c.places {
		place /= 2
		if n > 0 && c.places[n-1] == place {
			c.buckets[n-1].add(&c.buckets[i])
			continue
		}
		c.buckets[n], c.places[n] = c.buckets[i], place
		n++
	}
	c.buckets, c.places = c.buckets[:n], c.places[:n]
}
