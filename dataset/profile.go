package dataset

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/azml-go/azml/tabular"
)

// The bounds of what a profile keeps of a column.
const (
	// reservoirSize is how many numbers quantiles and histogram are made of: all of
	// a column with no more, else a random part that is the same each time.
	reservoirSize = 100_000
	// maxDistinct bounds the values that are counted.
	maxDistinct = 1000
	// histogramBins is the number of bins.
	histogramBins = 20
)

// Profile describes a table.
type Profile struct {
	// Rows is the number of rows.
	Rows int64 `json:"rows"`
	// Columns describe the columns in their order.
	Columns []ColumnProfile `json:"columns"`
}

// ColumnProfile describes a column. Numbers are those of long, float, bool (0 and
// 1) and datetime (seconds since 1970) columns.
type ColumnProfile struct {
	// Name is the column's name.
	Name string `json:"name"`
	// Type is its type.
	Type tabular.Type `json:"type"`
	// Count is the number of values that are there.
	Count int64 `json:"count"`
	// Missing is the number of values that are not.
	Missing int64 `json:"missing"`
	// Empty is the number of empty texts.
	Empty int64 `json:"empty"`
	// NotFinite is the number of values that are NaN or infinite, which nothing below
	// counts.
	NotFinite int64 `json:"notFinite"`
	// Min and Max are the least and the greatest value: a string, int64, float64,
	// bool or time.Time; nil when there is none.
	Min any `json:"min,omitempty"`
	Max any `json:"max,omitempty"` // the greatest
	// Numbers describe numbers, nil for texts and when there is none.
	Numbers *NumberProfile `json:"numbers,omitempty"`
	// Values are the values by how often they come, the most frequent first, nil
	// when there are more than 1,000.
	Values []ValueCount `json:"values,omitempty"`
}

// ValueCount is how often a value comes.
type ValueCount struct {
	// Value is the value.
	Value any `json:"value"`
	// Count is how often it comes.
	Count int64 `json:"count"`
}

// NumberProfile describes the numbers of a column.
type NumberProfile struct {
	// Mean is their mean.
	Mean float64 `json:"mean"`
	// StandardDeviation is that of a sample: of n numbers it is divided by n-1.
	StandardDeviation float64 `json:"standardDeviation"`
	// Variance is its square.
	Variance float64 `json:"variance"`
	// Skewness is the third standardized moment, adjusted for a sample as pandas does;
	// 0 when all are the same and of fewer than three numbers.
	Skewness float64 `json:"skewness"`
	// Kurtosis is the fourth standardized moment less 3, likewise; 0 when all are the
	// same and of fewer than four numbers.
	Kurtosis float64 `json:"kurtosis"`
	// Quantiles are the values below which shares of the numbers lie.
	Quantiles []Quantile `json:"quantiles"`
	// Histogram counts numbers in bins of equal width from the least to the
	// greatest.
	Histogram []Bin `json:"histogram"`
	// Sampled says that quantiles and histogram are made of 100,000 of the numbers.
	Sampled bool `json:"sampled,omitempty"`
}

// Quantile is a value below which a share of the numbers lies.
type Quantile struct {
	// Share is from 0 to 1.
	Share float64 `json:"share"`
	// Value is interpolated between two numbers, as pandas does.
	Value float64 `json:"value"`
}

// Bin is one of a histogram.
type Bin struct {
	// Low is where it begins, which belongs to it.
	Low float64 `json:"low"`
	// High is where it ends, which belongs to the next one, or to it if it is the
	// last.
	High float64 `json:"high"`
	// Count is the number of values in it.
	Count int64 `json:"count"`
}

// quantileShares are Azure ML's.
var quantileShares = []float64{0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999}

// ProfileOptions are the options of Dataset.Profile.
type ProfileOptions struct {
	// Columns are the columns to describe; nil means all.
	Columns []string
	// NullOnError counts values that don't fit their column's type as missing,
	// instead of ending with an error.
	NullOnError bool
}

// Profile reads the table once and describes its columns, in memory that doesn't
// grow with the rows. Errors: those of Batches.
func (d *Dataset) Profile(ctx context.Context, opts *ProfileOptions) (_ *Profile, err error) {
	defer d.h.Operation(&ctx, &err, "profile", kind, d.label())()
	if opts == nil {
		opts = &ProfileOptions{}
	}
	if err := d.want(TypeTabular); err != nil {
		return nil, err
	}
	names := opts.Columns
	if names == nil {
		names = d.Columns().Names()
	}
	if err := d.known(names); err != nil {
		return nil, err
	}
	schema := d.Columns()
	gatherers := make([]*gatherer, len(names))
	for i, name := range names {
		gatherers[i] = newGatherer(schema[schema.Index(name)])
	}
	p := &Profile{}
	for b, err := range d.batches(ctx, names, opts.NullOnError) {
		if err != nil {
			return nil, err
		}
		p.Rows += int64(b.Rows)
		for i := range b.Columns {
			gatherers[i].add(&b.Columns[i], b.Rows)
		}
	}
	for _, g := range gatherers {
		p.Columns = append(p.Columns, g.profile())
	}
	return p, nil
}

// gatherer sums up a column.
type gatherer struct {
	out      ColumnProfile
	numeric  bool
	values   map[any]int64 // nil when there are too many
	moments  moments
	numbers  []float64 // the reservoir
	draw     *rand.Rand
	min, max float64
}

func newGatherer(f tabular.Field) *gatherer {
	numeric := f.Type == tabular.Int || f.Type == tabular.Float || f.Type == tabular.Bool || f.Type == tabular.Time
	return &gatherer{out: ColumnProfile{Name: f.Name, Type: f.Type}, numeric: numeric, values: map[any]int64{},
		draw: rand.New(rand.NewPCG(1, 2)), min: math.Inf(1), max: math.Inf(-1)} //nolint:gosec // a sample that is the same each time
}

func (g *gatherer) add(c *tabular.Column, rows int) {
	for row := range rows {
		if c.Null(row) {
			g.out.Missing++
			continue
		}
		v := c.Value(row)
		if f, isFloat := v.(float64); isFloat && (math.IsNaN(f) || math.IsInf(f, 0)) {
			g.out.NotFinite++
			continue
		}
		g.out.Count++
		if text, isText := v.(string); isText && text == "" {
			g.out.Empty++
		}
		if g.values != nil {
			if g.values[v]++; len(g.values) > maxDistinct {
				g.values = nil
			}
		}
		g.bounds(v)
		if g.numeric {
			g.number(numberOf(v))
		}
	}
}

func numberOf(v any) float64 {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case float64:
		return v
	case time.Time:
		return float64(v.UnixNano()) / 1e9
	case bool:
		if v {
			return 1
		}
	}
	return 0
}

func (g *gatherer) bounds(v any) {
	if g.out.Min == nil || compareValues(v, g.out.Min) < 0 {
		g.out.Min = v
	}
	if g.out.Max == nil || compareValues(v, g.out.Max) > 0 {
		g.out.Max = v
	}
}

// compareValues compares two values of one column.
func compareValues(a, b any) int {
	switch a := a.(type) {
	case string:
		return cmp.Compare(a, b.(string)) //nolint:forcetypeassert // of one column
	case int64:
		return cmp.Compare(a, b.(int64)) //nolint:forcetypeassert // of one column
	case time.Time:
		return a.Compare(b.(time.Time)) //nolint:forcetypeassert // of one column
	}
	return cmp.Compare(numberOf(a), numberOf(b))
}

func (g *gatherer) number(x float64) {
	g.moments.add(x)
	g.min, g.max = min(g.min, x), max(g.max, x)
	if len(g.numbers) < reservoirSize {
		g.numbers = append(g.numbers, x)
	} else if at := g.draw.Int64N(int64(g.moments.n)); at < reservoirSize {
		g.numbers[at] = x
	}
}

func (g *gatherer) profile() ColumnProfile {
	out := g.out
	for v, n := range g.values {
		out.Values = append(out.Values, ValueCount{v, n})
	}
	slices.SortFunc(out.Values, func(a, b ValueCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), compareValues(a.Value, b.Value))
	})
	if !g.numeric || len(g.numbers) == 0 {
		return out
	}
	m := &g.moments
	out.Numbers = &NumberProfile{Mean: finite(m.mean), Variance: finite(m.variance()), StandardDeviation: finite(math.Sqrt(m.variance())),
		Skewness: finite(m.skewness()), Kurtosis: finite(m.kurtosis()), Sampled: m.n > reservoirSize}
	slices.Sort(g.numbers)
	for _, share := range quantileShares {
		out.Numbers.Quantiles = append(out.Numbers.Quantiles, Quantile{share, quantile(g.numbers, share)})
	}
	out.Numbers.Histogram = g.histogram()
	return out
}

// quantile interpolates between the two numbers beside the place of the share.
func quantile(sorted []float64, share float64) float64 {
	at := share * float64(len(sorted)-1)
	low := int(at)
	if low+1 >= len(sorted) || sorted[low] == sorted[low+1] {
		return sorted[low]
	}
	part := at - float64(low)
	return sorted[low]*(1-part) + sorted[low+1]*part
}

// histogram counts the reservoir, and scales the counts to all numbers.
func (g *gatherer) histogram() []Bin {
	bins := make([]Bin, histogramBins)
	width := g.max/histogramBins - g.min/histogramBins
	if width == 0 {
		return []Bin{{g.min, g.max, int64(g.moments.n)}}
	}
	for i := range bins {
		bins[i].Low, bins[i].High = g.min+float64(i)*width, g.min+float64(i+1)*width
	}
	bins[histogramBins-1].High = g.max
	for _, x := range g.numbers {
		bins[min(histogramBins-1, max(0, int((x-g.min)/width)))].Count++
	}
	for i := range bins {
		bins[i].Count = int64(math.Round(float64(bins[i].Count) * g.moments.n / float64(len(g.numbers))))
	}
	return bins
}

// finite gives the greatest number for what has become greater than any: powers of
// large numbers do, and JSON has no word for it.
func finite(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return min(max(x, -math.MaxFloat64), math.MaxFloat64)
}

// moments are sums of powers of the differences from the mean, kept up to date
// number by number without losing digits (Pébay 2008).
type moments struct{ n, mean, m2, m3, m4 float64 }

func (m *moments) add(x float64) {
	before := m.n
	m.n++
	delta := x - m.mean
	part := delta / m.n
	term := delta * part * before
	m.mean += part
	m.m4 += term*part*part*(m.n*m.n-3*m.n+3) + 6*part*part*m.m2 - 4*part*m.m3
	m.m3 += term*part*(m.n-2) - 3*part*m.m2
	m.m2 += term
}

func (m *moments) variance() float64 {
	if m.n < 2 {
		return 0
	}
	return m.m2 / (m.n - 1)
}

func (m *moments) skewness() float64 {
	if m.m2 == 0 || m.n < 3 {
		return 0
	}
	g := math.Sqrt(m.n) * m.m3 / math.Pow(m.m2, 1.5)
	return g * math.Sqrt(m.n*(m.n-1)) / (m.n - 2)
}

func (m *moments) kurtosis() float64 {
	if m.m2 == 0 || m.n < 4 {
		return 0
	}
	g := m.n*m.m4/(m.m2*m.m2) - 3
	return (m.n - 1) / ((m.n - 2) * (m.n - 3)) * ((m.n+1)*g + 6)
}
