package dataset

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/azml-go/azml/internal/datafile"
	"github.com/azml-go/azml/internal/delimited"
	"github.com/azml-go/azml/internal/expr"
	"github.com/azml-go/azml/internal/jsonlines"
	"github.com/azml-go/azml/internal/parquetfile"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/tabular"
)

// tableFiles gives the entries as files of tables.
func tableFiles(entries []entry) []datafile.File {
	out := make([]datafile.File, len(entries))
	for i, e := range entries {
		out[i] = datafile.File{Name: e.uri(), Size: e.Size, Open: func(ctx context.Context) (datafile.Stream, error) { return e.store.Open(ctx, e.Path, nil) }}
	}
	return out
}

// nonEmpty leaves out the files without a byte, which no table is in.
func nonEmpty(entries []entry) []entry {
	return slices.DeleteFunc(entries, func(e entry) bool { return e.Size == 0 })
}

func delimitedOptions(f *record.DataFormat, nullOnError bool, pool *delimited.Pool) *delimited.Options {
	o := &delimited.Options{Pool: pool, Header: delimited.HeaderMode(f.Header), Encoding: f.Encoding, EmptyAsString: f.EmptyAsString, Nulls: f.Nulls,
		NullOnError: f.NullOnError || nullOnError, Layouts: f.Layouts}
	if f.Separator != "" {
		o.Separator = f.Separator[0]
	}
	return o
}

func jsonOptions(f *record.DataFormat, nullOnError bool) *jsonlines.Options {
	return &jsonlines.Options{Encoding: f.Encoding, DropInvalid: f.DropInvalid, NullOnError: f.NullOnError || nullOnError, Layouts: f.Layouts}
}

// parts reads the columns with the names out of the files, where it can into memory
// of the pool.
func (d *Dataset) parts(ctx context.Context, files []datafile.File, names []string, nullOnError bool, pool *delimited.Pool) iter.Seq2[datafile.Part, error] {
	f := d.def.Format
	switch f.Kind {
	case record.FormatDelimited:
		return delimited.Read(ctx, files, d.def.Columns, names, delimitedOptions(f, nullOnError, pool))
	case record.FormatJSONLines:
		return jsonlines.Read(ctx, files, d.def.Columns, names, jsonOptions(f, nullOnError))
	}
	return parquetfile.Read(ctx, files, d.def.Columns, names, &parquetfile.Options{NullOnError: f.NullOnError || nullOnError})
}

// reading is what it takes to read a table: which columns, and what is done to
// batches of them.
type reading struct {
	d        *Dataset
	names    []string       // the columns that are read out of files
	physical tabular.Schema // those, and then those that a file's path has
	steps    []runner
	final    []int // the places of the columns that are wanted
	pool     *delimited.Pool
}

// plan finds the columns that have to be read for those that are wanted.
func (d *Dataset) plan(wanted []string) (*reading, error) {
	need := map[string]bool{}
	for _, name := range wanted {
		need[name] = true
	}
	exprs := make([]*expr.Expr, len(d.def.Steps))
	for i, step := range d.def.Steps {
		if step.Step != record.StepFilter {
			continue
		}
		e, err := expr.Parse(step.Filter)
		if err != nil {
			return nil, err
		}
		exprs[i] = e
		for _, name := range e.Columns() {
			need[name] = true
		}
	}
	r := &reading{d: d, names: []string{}}
	for i, f := range d.source() {
		if !need[f.Name] {
			continue
		}
		r.physical = append(r.physical, f)
		if i < len(d.def.Columns) {
			r.names = append(r.names, f.Name)
		}
	}
	for i, step := range d.def.Steps {
		run, err := newRunner(step, exprs[i], r.physical)
		if err != nil {
			return nil, err
		}
		r.steps = append(r.steps, run)
	}
	for _, name := range wanted {
		r.final = append(r.final, r.physical.Index(name))
	}
	return r, nil
}

// pathValues gives the columns that the path of a file has, of one row each.
func (r *reading) pathValues(e entry) ([]tabular.Column, error) {
	var all []tabular.Column
	if f := r.d.def.Format; f != nil && f.IncludePath != "" {
		c := tabular.NewColumn(tabular.Field{Name: f.IncludePath, Type: tabular.String}, 1)
		c.Texts[0] = "/" + e.Path
		all = append(all, c)
	}
	if p := r.d.partitions(); p != nil {
		values, err := p.values(e.Path)
		if err != nil {
			return nil, err
		}
		all = append(all, values...)
	}
	return slices.DeleteFunc(all, func(c tabular.Column) bool { return r.physical.Index(c.Name) < len(r.names) }), nil
}

// repeat gives n times the one value of a column.
func repeat(c tabular.Column, n int) tabular.Column {
	out := tabular.NewColumn(c.Field, n)
	for i := range n {
		if c.Type == tabular.Time {
			out.Ints[i] = c.Ints[0]
		} else {
			out.Texts[i] = c.Texts[0]
		}
	}
	return out
}

// prune leaves out files that the filters before all other steps say no to by
// their paths alone.
func (r *reading) prune(entries []entry) ([]entry, [][]tabular.Column, error) {
	var kept []entry
	var values [][]tabular.Column
	for _, e := range entries {
		v, err := r.pathValues(e)
		if err != nil {
			return nil, nil, err
		}
		if r.wants(v) {
			kept, values = append(kept, e), append(values, v)
		}
	}
	return kept, values, nil
}

func (r *reading) wants(values []tabular.Column) bool {
	if f := r.d.def.Format; len(values) == 0 || f != nil && f.Header == string(delimited.HeaderFirst) {
		return true // what is in the first file matters for all
	}
	one := &tabular.Batch{Rows: 1, Columns: make([]tabular.Column, len(r.names), len(r.physical))}
	one.Columns = append(one.Columns, values...)
	for _, step := range r.steps {
		if step.filter == nil {
			if step.step.Step == record.StepKeep {
				continue
			}
			return true
		}
		if slices.ContainsFunc(step.columns, func(name string) bool { return r.physical.Index(name) < len(r.names) }) {
			continue
		}
		if !step.filter.Keep(one)[0] {
			return false
		}
	}
	return true
}

// batches yields the rows as they are after all steps, of the columns that are
// wanted.
func (d *Dataset) batches(ctx context.Context, wanted []string, nullOnError bool) iter.Seq2[*tabular.Batch, error] {
	return d.pooled(ctx, wanted, nullOnError, nil)
}

// pooled is batches for who gives the batches back to the pool.
func (d *Dataset) pooled(ctx context.Context, wanted []string, nullOnError bool, pool *delimited.Pool) iter.Seq2[*tabular.Batch, error] {
	return func(yield func(*tabular.Batch, error) bool) {
		r, err := d.plan(wanted)
		if err != nil {
			yield(nil, err)
			return
		}
		r.pool = pool
		for b, err := range r.source(ctx, nullOnError) {
			more := true
			if err == nil {
				b, more = r.run(b)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if b.Rows > 0 && !yield(b, nil) || !more {
				return
			}
		}
	}
}

// source yields the rows before any step.
func (r *reading) source(ctx context.Context, nullOnError bool) iter.Seq2[*tabular.Batch, error] {
	if r.d.def.Query != nil {
		return r.d.query(ctx, r.names, nullOnError)
	}
	return func(yield func(*tabular.Batch, error) bool) {
		entries, err := list(ctx, r.d.h, r.d.def.Paths, false)
		if err != nil {
			yield(nil, err)
			return
		}
		entries, values, err := r.prune(nonEmpty(entries))
		if err != nil {
			yield(nil, err)
			return
		}
		for part, err := range r.d.parts(ctx, tableFiles(entries), r.names, nullOnError, r.pool) {
			if err != nil {
				yield(nil, err)
				return
			}
			for _, v := range values[part.File] {
				part.Columns = append(part.Columns, repeat(v, part.Rows))
			}
			if !yield(part.Batch, nil) {
				return
			}
		}
	}
}

// run does all steps to a batch and leaves the columns that are wanted. more is
// false when no later row can be among the result.
func (r *reading) run(b *tabular.Batch) (_ *tabular.Batch, more bool) {
	more = true
	for i := range r.steps {
		if b.Rows == 0 {
			break
		}
		var goOn bool
		b, goOn = r.steps[i].run(b)
		more = more && goOn
	}
	out := &tabular.Batch{Rows: b.Rows, Columns: make([]tabular.Column, len(r.final))}
	for i, at := range r.final {
		out.Columns[i] = b.Columns[at]
	}
	return out, more
}

// runner does one step to batch after batch.
type runner struct {
	step    record.DataStep
	filter  *expr.Filter
	columns []string // that the filter looks at
	seen    int64    // rows so far
}

func newRunner(step record.DataStep, e *expr.Expr, schema tabular.Schema) (runner, error) {
	r := runner{step: step}
	if e == nil {
		return r, nil
	}
	var err error
	r.columns = e.Columns()
	if r.filter, err = e.Bind(schema); err != nil {
		return r, fmt.Errorf("%s: %w", describe(step), err)
	}
	return r, nil
}

func (r *runner) run(b *tabular.Batch) (_ *tabular.Batch, more bool) {
	before := r.seen
	r.seen += int64(b.Rows)
	switch r.step.Step {
	case record.StepTake:
		left := max(0, r.step.N-before)
		return b.Slice(0, int(min(left, int64(b.Rows)))), r.seen < r.step.N
	case record.StepSkip:
		left := max(0, r.step.N-before)
		return b.Slice(int(min(left, int64(b.Rows))), b.Rows), true
	case record.StepSample:
		keep := make([]bool, b.Rows)
		for i := range keep {
			keep[i] = drawn(r.step, before+int64(i))
		}
		b.Keep(keep)
	case record.StepFilter:
		b.Keep(r.filter.Keep(b))
	}
	return b, true
}
