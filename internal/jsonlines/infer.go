package jsonlines

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/jsonlite"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/datafile"
	"github.com/azml-go/azml/internal/textvalue"
	"github.com/azml-go/azml/tabular"
)

// maxColumns bounds the members of objects.
const maxColumns = 100_000

// Infer gives the columns of the files: the members of the objects in the first
// sample lines, in the order in which they come first, with the types of their
// values. types are those that are known. Errors: ErrInvalid, naming file and line.
func Infer(ctx context.Context, files []datafile.File, types map[string]tabular.Type, sample int, opts *Options) (tabular.Schema, error) {
	if err := datafile.CheckEncoding(opts.Encoding); err != nil {
		return nil, err
	}
	g := guesser{opts: opts, members: map[string]*member{}, left: max(1, sample)}
	for i, file := range files {
		if err := g.file(ctx, datafile.Opened{File: file, Number: i}); err != nil {
			return nil, err
		}
		if g.left <= 0 {
			break
		}
	}
	if len(g.names) == 0 {
		return nil, fmt.Errorf("%w: there are no JSON objects in the files", azml.ErrInvalid)
	}
	return g.schema(types)
}

// member is what was seen of a member's values.
type member struct {
	texts, numbers, bools, nested bool
	number, text                  textvalue.Guess
}

// guesser looks at the first lines of files.
type guesser struct {
	opts    *Options
	names   []string
	members map[string]*member
	left    int // lines to look at
}

func (g *guesser) file(ctx context.Context, file datafile.Opened) error {
	body, err := file.Text(ctx, g.opts.Encoding)
	if err != nil {
		return err
	}
	defer body.Close()
	blocks := datafile.NewBlocks(body, file.File, lastLine)
	line := int64(0)
	for g.left > 0 {
		data, err := blocks.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: behind line %d: %w", file.Name, line, err)
		}
		for one := range bytes.Lines(data) {
			line++
			if one = bytes.Trim(one, space); len(one) == 0 || g.left <= 0 {
				continue
			}
			if fault := check(one); fault != "" {
				if !g.opts.DropInvalid {
					return invalid(file.Name, line, "%s", fault)
				}
				continue
			}
			if err := g.object(text(one)); err != nil {
				return invalid(file.Name, line, "%v", err)
			}
			g.left--
		}
	}
	return nil
}

func (g *guesser) object(line string) (fault error) {
	it := jsonlite.Iterate(line)
	it.Next()
	it.Object(func(key string, err error) bool {
		m := g.members[key]
		if m == nil {
			if len(g.names) == maxColumns {
				fault = fmt.Errorf("more than %d members can't be read", maxColumns)
				return false
			}
			m = &member{}
			g.members[key], g.names = m, append(g.names, key)
		}
		kind := it.Kind()
		v, valueErr := it.Value()
		if fault = errors.Join(err, valueErr); fault != nil {
			return false
		}
		m.add(kind, v)
		return true
	})
	return fault
}

func (m *member) add(kind jsonlite.Kind, v *jsonlite.Value) {
	switch kind {
	case jsonlite.String:
		m.texts = true
		m.text.Add([]byte(v.String()))
	case jsonlite.Number:
		m.numbers = true
		m.number.Add([]byte(v.String()))
	case jsonlite.True, jsonlite.False:
		m.bools = true
	case jsonlite.Array, jsonlite.Object:
		m.nested = true
	}
}

// is gives the type that fits all values. Texts are never numbers.
func (m *member) is() tabular.Type {
	switch {
	case m.nested:
		return tabular.Nested
	case m.numbers && !m.texts && !m.bools:
		return m.number.Type()
	case m.bools && !m.texts && !m.numbers:
		return tabular.Bool
	case m.texts && !m.numbers && !m.bools && m.text.Type() == tabular.Time:
		return tabular.Time
	}
	return tabular.String
}

func (g *guesser) schema(types map[string]tabular.Type) (tabular.Schema, error) {
	for name := range types {
		if g.members[name] == nil {
			return nil, fmt.Errorf("%w: a type is set for column %q, which is not there: there are %q", azml.ErrInvalid, name, g.names)
		}
	}
	s := make(tabular.Schema, len(g.names))
	for i, name := range g.names {
		t, known := types[name]
		if !known {
			t = g.members[name].is()
		}
		s[i] = tabular.Field{Name: name, Type: t}
	}
	return s, nil
}
