package delimited

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/datafile"
	"github.com/azml-go/azml/internal/textvalue"
	"github.com/azml-go/azml/tabular"
)

// Infer gives the columns of the files: the names that they begin with, and the
// types that the first sample rows are of, in the order of the files. types are
// those that are known; with a sample of 0 all others are strings. It reads the
// beginning of as many files as it needs, of all for HeaderCombine. Errors:
// ErrInvalid, naming the file.
func Infer(ctx context.Context, files []datafile.File, types map[string]tabular.Type, sample int, opts *Options) (tabular.Schema, error) {
	if err := opts.Check(); err != nil {
		return nil, err
	}
	g := guesser{opts: opts, types: types, guesses: map[string]*textvalue.Guess{}, left: sample, nulls: map[string]bool{}}
	for _, text := range opts.Nulls {
		g.nulls[text] = true
	}
	for i, file := range files {
		if len(g.names) > 0 && g.left <= 0 && opts.Header != HeaderCombine {
			break
		}
		if err := g.file(ctx, datafile.Opened{File: file, Number: i}); err != nil {
			return nil, fmt.Errorf("%s: %w", file.Name, err)
		}
	}
	if len(g.names) == 0 {
		return nil, fmt.Errorf("%w: there is no data in the files", azml.ErrInvalid)
	}
	return g.schema()
}

// guesser looks at the first rows of files.
type guesser struct {
	opts    *Options
	types   map[string]tabular.Type
	names   []string // of all columns so far
	guesses map[string]*textvalue.Guess
	nulls   map[string]bool
	left    int // rows to look at
	row     int // how many of the file were looked at
}

func (g *guesser) file(ctx context.Context, file datafile.Opened) error {
	body, err := file.Text(ctx, g.opts.Encoding)
	if err != nil {
		return err
	}
	defer body.Close()
	g.row = 0
	blocks := datafile.NewBlocks(body, file.File, recordEnd)
	data, err := blocks.Next()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	b := newBlock(data)
	var names []string
	if g.opts.named(file.Number) {
		if names, b, err = header(b, g.opts); err != nil {
			return err
		}
		if g.opts.Header == HeaderSame && len(g.names) > 0 {
			if err := sameNames(names, g.names); err != nil {
				return err
			}
		}
		g.add(names)
	}
	for err == nil && g.left > 0 {
		if err = g.rows(b, names); err == nil {
			data, err = blocks.Next()
			b = newBlock(data)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err == nil && len(g.names) == 0 { // no rows are to be looked at, but their fields have to be counted
		sc := newScanner(b.data, g.opts.separator())
		if pos := sc.blank(0); pos < len(sc.data) {
			fields, _, what := sc.record(pos)
			if what != "" {
				return fmt.Errorf("%w: row 1: %s", azml.ErrInvalid, what)
			}
			g.add(numbered(len(fields)))
		}
	}
	return err
}

// rows looks at the rows of a block, whose fields have the names, or else those
// of the table.
func (g *guesser) rows(b block, names []string) error {
	sc := newScanner(b.data, g.opts.separator())
	for pos := sc.blank(0); pos < len(sc.data) && g.left > 0; pos = sc.blank(pos) {
		fields, next, what := sc.record(pos)
		if what != "" {
			return fmt.Errorf("%w: row %d: %s", azml.ErrInvalid, g.row+1, what)
		}
		if len(fields) > maxColumns {
			return tooWide(len(fields))
		}
		g.row++
		if names == nil {
			if len(g.names) == 0 {
				g.add(numbered(len(fields)))
			}
			names = g.names
		}
		if len(fields) > len(names) || len(fields) < len(names) && !g.opts.NullOnError {
			return fmt.Errorf("%w: row %d: it has %d fields instead of %d", azml.ErrInvalid, g.row, len(fields), len(names))
		}
		for i, text := range fields {
			if text != "" && !g.nulls[text] {
				g.guesses[names[i]].Add([]byte(text))
			}
		}
		g.left--
		pos = next
	}
	return nil
}

// add adds the columns that are new.
func (g *guesser) add(names []string) {
	for _, name := range names {
		if g.guesses[name] == nil {
			g.guesses[name] = &textvalue.Guess{}
			g.names = append(g.names, name)
		}
	}
}

func (g *guesser) schema() (tabular.Schema, error) {
	for name := range g.types {
		if g.guesses[name] == nil {
			return nil, fmt.Errorf("%w: a type is set for column %q, which is not there: there are %q", azml.ErrInvalid, name, g.names)
		}
	}
	s := make(tabular.Schema, len(g.names))
	for i, name := range g.names {
		t, known := g.types[name]
		if !known {
			t = g.guesses[name].Type()
		}
		s[i] = tabular.Field{Name: name, Type: t}
	}
	return s, nil
}

// header reads the names that a block begins with, and gives the rest of it.
// Names that are missing or there already are made up.
func header(b block, opts *Options) (names []string, rest block, err error) {
	sc := newScanner(b.data, opts.separator())
	pos := sc.blank(0)
	if pos >= len(sc.data) {
		return nil, b, fmt.Errorf("%w: it has no names of columns", azml.ErrInvalid)
	}
	fields, next, what := sc.record(pos)
	switch {
	case what != "":
		return nil, b, fmt.Errorf("%w: its names of columns: %s", azml.ErrInvalid, what)
	case len(fields) > maxColumns:
		return nil, b, tooWide(len(fields))
	}
	return unique(fields), newBlock(b.data[next:]), nil
}

func tooWide(n int) error {
	return fmt.Errorf("%w: it has %d columns, at most %d can be read: is the separator right?", azml.ErrInvalid, n, maxColumns)
}

// unique gives names of which none is empty and none comes twice: the third "a"
// is "a.2", as pandas has it.
func unique(fields []string) []string {
	taken := make(map[string]bool, len(fields))
	for _, name := range fields {
		taken[name] = true
	}
	count := make(map[string]int, len(fields))
	out := make([]string, len(fields))
	for i, name := range fields {
		if name == "" {
			name = "Column" + strconv.Itoa(i+1)
		}
		made := name
		for n := count[name]; n > 0; n++ {
			if made = name + "." + strconv.Itoa(n); !taken[made] {
				count[name] = n
				break
			}
		}
		count[name]++
		taken[made] = true
		out[i] = made
	}
	return out
}

// numbered gives the names of columns that have none.
func numbered(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = "Column" + strconv.Itoa(i+1)
	}
	return names
}
