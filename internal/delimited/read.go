package delimited

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/datafile"
	"github.com/azml-go/azml/internal/inorder"
	"github.com/azml-go/azml/tabular"
)

// maxColumns bounds the fields of a record.
const maxColumns = 100_000

// job is a block and what it takes to read it.
type job struct {
	block
	layout *layout
	file   datafile.Opened
	line   int64 // line breaks before it
}

// done is what became of a job.
type done struct {
	batch *tabular.Batch
	fault *fault
	job   job
}

// Read yields the rows of the files in order; of those of schema, which has the
// columns that the files have, the columns with the names, in the order of names.
// Nil names are all. Blocks are read on all cores. Errors: ErrInvalid naming the
// file, the row and the line of a record that is malformed or doesn't fit.
func Read(ctx context.Context, files []datafile.File, schema tabular.Schema, names []string, opts *Options) iter.Seq2[datafile.Part, error] {
	return func(yield func(datafile.Part, error) bool) {
		if err := opts.Check(); err != nil {
			yield(datafile.Part{}, err)
			return
		}
		r := &reader{opts: opts, schema: schema, names: names}
		if names == nil {
			r.names = schema.Names()
		}
		var rows int64
		file := -1
		work := func(j job) (done, error) {
			batch, fault := j.layout.parse(j.block, opts.separator())
			return done{batch, fault, j}, nil
		}
		for d, err := range inorder.Map(ctx, runtime.GOMAXPROCS(0), r.jobs(ctx, files), work) {
			if err != nil {
				yield(datafile.Part{}, err)
				return
			}
			if d.job.file.Number != file {
				file, rows = d.job.file.Number, 0
			}
			if d.batch.Rows > 0 && !yield(datafile.Part{Batch: d.batch, File: file}, nil) {
				return
			}
			if d.fault != nil {
				yield(datafile.Part{}, d.error(rows))
				return
			}
			rows += int64(d.batch.Rows)
		}
	}
}

// error tells where the fault is, in a block with so many rows before it.
func (d done) error(rows int64) error {
	column := ""
	if d.fault.column != "" {
		column = fmt.Sprintf(", column %q", d.fault.column)
	}
	return fmt.Errorf("%w: %s, row %d (line %d)%s: %s", azml.ErrInvalid, d.job.file.Name, rows+int64(d.fault.row)+1, d.job.line+int64(d.fault.line)+1, column, d.fault.what)
}

// reader cuts files into jobs.
type reader struct {
	opts   *Options
	schema tabular.Schema
	names  []string
}

func (r *reader) jobs(ctx context.Context, files []datafile.File) iter.Seq2[job, error] {
	return func(yield func(job, error) bool) {
		for file, err := range datafile.Ahead(ctx, files) {
			if err != nil {
				yield(job{}, err)
				return
			}
			if more, err := r.file(ctx, file, yield); err != nil {
				yield(job{}, err)
				return
			} else if !more {
				return
			}
		}
	}
}

// file yields the blocks of a file.
func (r *reader) file(ctx context.Context, file datafile.Opened, yield func(job, error) bool) (more bool, err error) {
	body, err := file.Text(ctx, r.opts.Encoding)
	if err != nil {
		return false, err
	}
	defer body.Close()
	blocks := datafile.NewBlocks(body, file.File, recordEnd)
	if r.opts.Header == HeaderCombine {
		blocks.Limit(len(r.names))
	}
	j := job{file: file}
	for {
		data, err := blocks.Next()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("%s: behind line %d: %w", file.Name, j.line, err)
		}
		j.block = newBlock(data)
		lines := j.lines
		if j.layout == nil {
			skipped, err := r.begin(&j)
			if err != nil {
				return false, err
			}
			j.line = int64(skipped)
			lines -= skipped
		}
		if !yield(j, nil) {
			return false, nil
		}
		j.line += int64(lines)
	}
}

// begin reads the names at the beginning of a file and takes them out of its
// first block, with the lines that they take.
func (r *reader) begin(j *job) (lines int, err error) {
	if !r.opts.named(j.file.Number) {
		j.layout, err = r.layout(r.schema.Names())
		return 0, err
	}
	names, rest, err := header(j.block, r.opts)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", j.file.Name, err)
	}
	if r.opts.Header != HeaderCombine {
		if err := sameNames(names, r.schema.Names()); err != nil {
			return 0, fmt.Errorf("%s: %w", j.file.Name, err)
		}
	}
	lines = j.lines - rest.lines
	j.block = rest
	if j.layout, err = r.layout(names); err != nil {
		return 0, fmt.Errorf("%s: %w", j.file.Name, err)
	}
	return lines, nil
}

// layout says what the fields with the names are for.
func (r *reader) layout(fields []string) (*layout, error) {
	l := &layout{opts: r.opts, fields: make([]target, len(fields)), nulls: map[string]bool{}}
	for _, text := range r.opts.Nulls {
		l.nulls[text] = true
	}
	places := make(map[string]int, len(fields))
	for i, name := range fields {
		places[name] = i
	}
	for column, name := range r.names {
		at := r.schema.Index(name)
		if at < 0 {
			return nil, fmt.Errorf("%w: there is no column %q", azml.ErrInvalid, name)
		}
		f := r.schema[at]
		l.schema = append(l.schema, f)
		place, there := places[name]
		if !there {
			l.absent = append(l.absent, column)
			continue
		}
		k, known := kinds[f.Type]
		if !known {
			k = text
		}
		l.fields[place] = target{kind: k, column: column, layouts: r.opts.Layouts[name]}
	}
	return l, nil
}

// sameNames gives an error that says how names differ from those of the dataset.
func sameNames(got, want []string) error {
	const text = "its columns are not those of the dataset"
	for i, name := range got {
		if i >= len(want) {
			return fmt.Errorf("%w: %s: it has %q in addition", azml.ErrInvalid, text, name)
		}
		if name != want[i] {
			return fmt.Errorf("%w: %s: column %d is %q instead of %q", azml.ErrInvalid, text, i+1, name, want[i])
		}
	}
	if len(got) < len(want) {
		return fmt.Errorf("%w: %s: it lacks %q", azml.ErrInvalid, text, want[len(got)])
	}
	return nil
}
