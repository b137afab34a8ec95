// Package jsonlines reads text files of one JSON object a line into columns.
// Blocks of lines are read on all cores. What an object or a list holds stays
// JSON, in a column of type tabular.Nested.
package jsonlines

import (
	"bytes"
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

// Options say how files are to be read.
type Options struct {
	// Encoding is one of datafile.Encodings, empty for UTF-8.
	Encoding string
	// DropInvalid passes over lines that are no JSON object, which are errors
	// else.
	DropInvalid bool
	// NullOnError makes what doesn't fit its column's type a missing value instead
	// of an error.
	NullOnError bool
	// Layouts are the forms of times by column, in package time's words; a column
	// without has ISO 8601.
	Layouts map[string][]string
}

// job is some lines of a file.
type job struct {
	file datafile.Opened
	data []byte
	line int64 // lines before them
}

// Read yields the rows of the files in order; of the columns of schema those with
// the names, in the order of names. Nil names are all. What a line lacks is
// missing in its row, and members that are no columns are passed over. Errors:
// ErrInvalid naming the file and the line of what is no JSON or doesn't fit.
func Read(ctx context.Context, files []datafile.File, schema tabular.Schema, names []string, opts *Options) iter.Seq2[datafile.Part, error] {
	return func(yield func(datafile.Part, error) bool) {
		l, err := newLayout(schema, names, opts)
		if err != nil {
			yield(datafile.Part{}, err)
			return
		}
		work := func(j job) (datafile.Part, error) {
			batch, err := l.parse(j)
			return datafile.Part{Batch: batch, File: j.file.Number}, err
		}
		for part, err := range inorder.Map(ctx, runtime.GOMAXPROCS(0), jobs(ctx, files, len(l.schema), opts), work) {
			if part.Batch != nil && part.Rows > 0 && !yield(part, nil) {
				return
			}
			if err != nil {
				yield(datafile.Part{}, err)
				return
			}
		}
	}
}

// jobs cuts the files into lines.
func jobs(ctx context.Context, files []datafile.File, columns int, opts *Options) iter.Seq2[job, error] {
	return func(yield func(job, error) bool) {
		for file, err := range datafile.Ahead(ctx, files) {
			if err != nil {
				yield(job{}, err)
				return
			}
			if more, err := lines(ctx, file, columns, opts, yield); err != nil {
				yield(job{}, err)
				return
			} else if !more {
				return
			}
		}
	}
}

// lines yields the blocks of a file.
func lines(ctx context.Context, file datafile.Opened, columns int, opts *Options, yield func(job, error) bool) (more bool, err error) {
	body, err := file.Text(ctx, opts.Encoding)
	if err != nil {
		return false, err
	}
	defer body.Close()
	blocks := datafile.NewBlocks(body, file.File, lastLine)
	blocks.Limit(columns)
	j := job{file: file}
	for {
		j.data, err = blocks.Next()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("%s: behind line %d: %w", file.Name, j.line, err)
		}
		if !yield(j, nil) {
			return false, nil
		}
		j.line += int64(bytes.Count(j.data, []byte{'\n'}))
	}
}

// lastLine gives the end of the last whole line.
func lastLine(data []byte) int { return bytes.LastIndexByte(data, '\n') + 1 }

// invalid gives an error about a line, which counts from 1.
func invalid(file string, line int64, format string, args ...any) error {
	return fmt.Errorf("%w: %s, line %d: %s", azml.ErrInvalid, file, line, fmt.Sprintf(format, args...))
}
