package dataset

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/expr"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/textvalue"
	"github.com/azml-go/azml/tabular"
)

// with gives the dataset with one more step, not registered.
func (d *Dataset) with(step record.DataStep) *Dataset {
	def := d.def
	def.Steps = append(slices.Clip(def.Steps), step)
	return &Dataset{h: d.h, def: def}
}

// describe gives a step in words.
func describe(s record.DataStep) string {
	switch s.Step {
	case record.StepTake, record.StepSkip:
		return fmt.Sprintf("%s %d", s.Step, s.N)
	case record.StepSample:
		if s.Rest {
			return fmt.Sprintf("all but a sample of %g (seed %d)", s.Share, s.Seed)
		}
		return fmt.Sprintf("a sample of %g (seed %d)", s.Share, s.Seed)
	case record.StepFilter:
		return "filter " + s.Filter
	}
	return "keep " + strings.Join(s.Columns, ", ")
}

// Take gives the first n rows or files. Errors: ErrInvalid when n is negative.
func (d *Dataset) Take(n int64) (*Dataset, error) { return d.counted(record.StepTake, n) }

// Skip gives all but the first n rows or files. Errors: ErrInvalid when n is
// negative.
func (d *Dataset) Skip(n int64) (*Dataset, error) { return d.counted(record.StepSkip, n) }

func (d *Dataset) counted(step string, n int64) (*Dataset, error) {
	if n < 0 {
		return nil, d.fail(step, fmt.Errorf("%w: %d: use 0 or more", azml.ErrInvalid, n))
	}
	return d.with(record.DataStep{Step: step, N: n}), nil
}

// fail says which transform of which dataset an error is about.
func (d *Dataset) fail(op string, err error) error {
	core.Wrap(&err, op, kind, d.label())
	return err
}

// SampleOptions are the options of Dataset.TakeSample and RandomSplit.
type SampleOptions struct {
	// Seed makes the draw the same each time; without one it is drawn, and noted
	// in the definition.
	Seed uint64
}

// TakeSample gives about the share of all rows or files, from 0 to 1: each is
// drawn by its number among them, so the same seed draws the same ones. Errors:
// ErrInvalid.
func (d *Dataset) TakeSample(share float64, opts *SampleOptions) (*Dataset, error) {
	sample, _, err := d.RandomSplit(share, opts)
	return sample, err
}

// RandomSplit gives about the share of all rows or files, from 0 to 1, and the
// rest. The same seed splits the same way. Errors: ErrInvalid.
func (d *Dataset) RandomSplit(share float64, opts *SampleOptions) (first, rest *Dataset, err error) {
	if !(share >= 0 && share <= 1) {
		return nil, nil, d.fail("sample", fmt.Errorf("%w: share %v: use 0 to 1", azml.ErrInvalid, share))
	}
	seed := rand.Uint64() //nolint:gosec // a sample is no secret
	if opts != nil && opts.Seed != 0 {
		seed = opts.Seed
	}
	step := record.DataStep{Step: record.StepSample, Share: share, Seed: seed}
	first = d.with(step)
	step.Rest = true
	return first, d.with(step), nil
}

// drawn tells whether the row or file of that number is in the sample.
func drawn(step record.DataStep, n int64) bool {
	x := step.Seed + uint64(n+1)*0x9e3779b97f4a7c15 // SplitMix64
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	return (float64(x>>11)/(1<<53) < step.Share) != step.Rest
}

// Filter gives the rows of which the filter is true, such as
// "age >= 18 and (country in ('CH', 'LI') or starts_with(name, 'A'))"; docs/datasets.md
// describes it. Of files, "Path", "Size", "LastModifiedTime", "CreationTime", "Extension",
// "CanSeek" and the partitions are columns. Errors: ErrInvalid, saying where the filter is wrong.
func (d *Dataset) Filter(filter string) (*Dataset, error) {
	e, err := expr.Parse(filter)
	if err == nil {
		_, err = e.Bind(d.filterable())
	}
	if err != nil {
		return nil, d.fail("filter", err)
	}
	return d.with(record.DataStep{Step: record.StepFilter, Filter: filter}), nil
}

// filterable gives the columns that a filter can name.
func (d *Dataset) filterable() tabular.Schema {
	if d.Type() == TypeFile {
		return append(fileSchema(), d.Columns()...)
	}
	return d.Columns()
}

// KeepColumns gives the rows with these columns only, in this order. Errors:
// ErrInvalid for columns that are not there, come twice, or are none.
func (d *Dataset) KeepColumns(names ...string) (*Dataset, error) {
	if err := d.want(TypeTabular); err != nil {
		return nil, d.fail("keep columns of", err)
	}
	if err := d.known(names); err != nil {
		return nil, d.fail("keep columns of", err)
	}
	if len(names) == 0 {
		return nil, d.fail("keep columns of", fmt.Errorf("%w: no column would be left", azml.ErrInvalid))
	}
	out := d.with(record.DataStep{Step: record.StepKeep, Columns: slices.Clone(names)})
	if !slices.Contains(names, out.def.Timestamp) {
		out.def.Timestamp, out.def.PartitionTimestamp = "", ""
	}
	if !slices.Contains(names, out.def.PartitionTimestamp) {
		out.def.PartitionTimestamp = ""
	}
	return out, nil
}

// known gives an error for names that are no columns, or come twice.
func (d *Dataset) known(names []string) error {
	s := d.Columns()
	for i, name := range names {
		if s.Index(name) < 0 {
			return fmt.Errorf("%w: there is no column %q, but %s", azml.ErrInvalid, name, core.Sample(s.Names()))
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("%w: column %q comes twice", azml.ErrInvalid, name)
		}
	}
	return nil
}

// DropColumns gives the rows without these columns. Without the timestamp column,
// the rows have no time any more. Errors: ErrInvalid for columns that are not
// there, and when none would be left.
func (d *Dataset) DropColumns(names ...string) (*Dataset, error) {
	if err := d.known(names); err != nil {
		return nil, d.fail("drop columns of", err)
	}
	kept := slices.DeleteFunc(d.Columns().Names(), func(name string) bool { return slices.Contains(names, name) })
	return d.KeepColumns(kept...)
}

// WithTimestampColumns says which column has the time of a row, and, unless it is
// empty, which one a coarser time that partitions the data; both are of type
// datetime. An empty timestamp takes both away. Errors: ErrInvalid.
func (d *Dataset) WithTimestampColumns(timestamp, partition string) (*Dataset, error) {
	fail := func(format string, args ...any) (*Dataset, error) {
		return nil, d.fail("set timestamp columns of", fmt.Errorf("%w: %s", azml.ErrInvalid, fmt.Sprintf(format, args...)))
	}
	if err := d.want(TypeTabular); err != nil {
		return nil, d.fail("set timestamp columns of", err)
	}
	s := d.Columns()
	for _, name := range []string{timestamp, partition} {
		if name == "" {
			continue
		}
		if at := s.Index(name); at < 0 {
			return fail("there is no column %q", name)
		} else if s[at].Type != tabular.Time {
			return fail("column %q is %s, not datetime", name, s[at].Type)
		}
	}
	switch {
	case timestamp == "" && partition != "":
		return fail("a partition timestamp needs a timestamp")
	case timestamp != "" && timestamp == partition:
		return fail("the two columns must differ")
	}
	out := &Dataset{h: d.h, def: d.def}
	out.def.Timestamp, out.def.PartitionTimestamp = timestamp, partition
	return out, nil
}

// TimeOptions are the options of the filters by time.
type TimeOptions struct {
	// ExcludeBoundary leaves out rows of exactly the given times.
	ExcludeBoundary bool
}

// TimeBefore gives the rows with a time before t, or at t. Errors: ErrInvalid when
// the dataset has no timestamp column.
func (d *Dataset) TimeBefore(t time.Time, opts *TimeOptions) (*Dataset, error) {
	return d.during(time.Time{}, t, opts)
}

// TimeAfter gives the rows with a time after t, or at t. Errors: ErrInvalid when
// the dataset has no timestamp column.
func (d *Dataset) TimeAfter(t time.Time, opts *TimeOptions) (*Dataset, error) {
	return d.during(t, time.Time{}, opts)
}

// TimeBetween gives the rows with a time from begin to end. Errors: ErrInvalid when
// the dataset has no timestamp column.
func (d *Dataset) TimeBetween(begin, end time.Time, opts *TimeOptions) (*Dataset, error) {
	return d.during(begin, end, opts)
}

// TimeRecent gives the rows of the last so long before now. Now is when it is
// called, so that the dataset stays the same. Errors: ErrInvalid when the dataset
// has no timestamp column.
func (d *Dataset) TimeRecent(last time.Duration, opts *TimeOptions) (*Dataset, error) {
	return d.during(d.h.Now().Add(-last), time.Time{}, opts)
}

// during filters by times, of which a zero one is no bound.
func (d *Dataset) during(begin, end time.Time, opts *TimeOptions) (*Dataset, error) {
	if d.def.Timestamp == "" {
		return nil, d.fail("filter by time", fmt.Errorf("%w: it has no timestamp column: set one by WithTimestampColumns", azml.ErrInvalid))
	}
	equal := "="
	if opts != nil && opts.ExcludeBoundary {
		equal = ""
	}
	var terms []string
	for op, t := range map[string]time.Time{">": begin, "<": end} {
		if t.IsZero() {
			continue
		}
		if !textvalue.InRange(t) {
			return nil, d.fail("filter by time", fmt.Errorf("%w: %s: use times from 1678 to 2262", azml.ErrInvalid, t))
		}
		terms = append(terms, fmt.Sprintf("`%s` %s%s '%s'", strings.ReplaceAll(d.def.Timestamp, "`", "``"), op, equal, t.UTC().Format(time.RFC3339Nano)))
	}
	slices.Sort(terms)
	return d.Filter(strings.Join(terms, " and "))
}
