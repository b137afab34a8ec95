package parquetfile

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/tabular"
)

const (
	// maxRowValues bounds the values of a leaf in one row.
	maxRowValues = 8 << 20
	// maxTexts bounds what a column of a batch has as JSON: a value of a dictionary
	// may stand in it as often as a writer liked.
	maxTexts = 1 << 30
)

// nested reads lists, maps and structs as JSON: for each row it takes the row's
// values of all leaves and puts them together by their levels.
type nested struct {
	column
	streams []*stream
	parts   [][]parquet.Value // of the row, by leaf
	out     []byte
}

func newNested(c column, pages []parquet.Pages) *nested {
	r := &nested{column: c}
	for _, p := range pages {
		r.streams = append(r.streams, &stream{pages: p, buf: make([]parquet.Value, 256)})
	}
	r.parts = make([][]parquet.Value, len(r.streams))
	return r
}

func (r *nested) release() {
	for _, s := range r.streams {
		parquet.Release(s.page)
	}
}

func (r *nested) read(c *tabular.Column, row, n int) (err error) {
	texts := 0
	for i := row; i < row+n; i++ {
		for leaf, s := range r.streams {
			if r.parts[leaf], err = s.row(r.parts[leaf][:0]); err != nil {
				return err
			}
		}
		if r.node.Optional() && r.parts[0][0].DefinitionLevel() == 0 {
			c.SetNull(i)
			continue
		}
		if r.out, err = appendNode(r.out[:0], r.node, 0, 0, r.parts); err != nil {
			return err
		}
		c.Texts[i] = string(r.out)
		if texts += len(r.out); texts > maxTexts {
			return fmt.Errorf("%w: %d rows have more than %d MiB as JSON", azml.ErrInvalid, i-row+1, maxTexts>>20)
		}
	}
	return nil
}

// stream gives the values of a leaf one after the other.
type stream struct {
	pages  parquet.Pages
	page   parquet.Page
	values parquet.ValueReader
	buf    []parquet.Value
	rest   []parquet.Value
}

// row adds the values of the next row: up to the next that begins a row.
func (s *stream) row(out []parquet.Value) ([]parquet.Value, error) {
	for {
		if len(s.rest) == 0 {
			err := s.fill()
			if errors.Is(err, io.EOF) && len(out) > 0 {
				return out, nil
			}
			if errors.Is(err, io.EOF) {
				return nil, errors.New("it has fewer rows than it says")
			}
			if err != nil {
				return nil, err
			}
		}
		if len(out) > 0 && s.rest[0].RepetitionLevel() == 0 {
			return out, nil
		}
		if len(out) == maxRowValues {
			return nil, fmt.Errorf("%w: a row has more than %d values", azml.ErrInvalid, maxRowValues)
		}
		out = append(out, s.rest[0].Clone()) // its page may go before the row ends
		s.rest = s.rest[1:]
	}
}

func (s *stream) fill() (err error) {
	for {
		if s.values != nil {
			n, err := s.values.ReadValues(s.buf)
			if s.rest = s.buf[:n]; n > 0 {
				return nil
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
		}
		parquet.Release(s.page)
		s.page, s.values = nil, nil
		if s.page, err = s.pages.ReadPage(); err != nil {
			return err
		}
		s.values = s.page.Values()
	}
}

// appendNode adds the JSON of a node, of which the values of each leaf are given.
// def and rep are the levels that are reached above it.
func appendNode(out []byte, n parquet.Node, def, rep int, parts [][]parquet.Value) ([]byte, error) {
	switch {
	case n.Optional():
		if parts[0][0].DefinitionLevel() <= def {
			return append(out, "null"...), nil
		}
		return appendOne(out, n, def+1, rep, parts)
	case n.Repeated():
		return appendList(out, def, rep, parts, func(out []byte, def, rep int, part [][]parquet.Value) ([]byte, error) {
			return appendOne(out, n, def, rep, part)
		})
	}
	return appendOne(out, n, def, rep, parts)
}

// appendOne adds a node that is there, once.
func appendOne(out []byte, n parquet.Node, def, rep int, parts [][]parquet.Value) ([]byte, error) {
	if n.Leaf() {
		return appendLeaf(out, n.Type(), parts[0][0])
	}
	if inner, element := listOf(n); inner != nil {
		return appendList(out, def, rep, parts, func(out []byte, def, rep int, part [][]parquet.Value) ([]byte, error) {
			return appendNode(out, element, def, rep, part)
		})
	}
	if entries := mapOf(n); entries != nil {
		return appendMap(out, entries, def, rep, parts)
	}
	var err error
	out = append(out, '{')
	at := 0
	for i, f := range n.Fields() {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendText(out, f.Name()), ':')
		count := leaves(f)
		if out, err = appendNode(out, f, def, rep, parts[at:at+count]); err != nil {
			return nil, err
		}
		at += count
	}
	return append(out, '}'), nil
}

// each calls do with the values of each element of what is repeated.
func each(def, rep int, parts [][]parquet.Value, do func(part [][]parquet.Value) error) error {
	if parts[0][0].DefinitionLevel() <= def {
		return nil // no element
	}
	rest := make([][]parquet.Value, len(parts))
	copy(rest, parts)
	part := make([][]parquet.Value, len(parts))
	for len(rest[0]) > 0 {
		for leaf, values := range rest {
			end := 1
			for end < len(values) && values[end].RepetitionLevel() > rep+1 {
				end++
			}
			part[leaf], rest[leaf] = values[:end], values[end:]
		}
		if err := do(part); err != nil {
			return err
		}
	}
	return nil
}

func appendList(out []byte, def, rep int, parts [][]parquet.Value, element func(out []byte, def, rep int, part [][]parquet.Value) ([]byte, error)) ([]byte, error) {
	out = append(out, '[')
	first := true
	err := each(def, rep, parts, func(part [][]parquet.Value) (err error) {
		if !first {
			out = append(out, ',')
		}
		first = false
		out, err = element(out, def+1, rep+1, part)
		return err
	})
	return append(out, ']'), err
}

// appendMap adds an object when the keys are texts, else a list of pairs.
func appendMap(out []byte, entries parquet.Node, def, rep int, parts [][]parquet.Value) ([]byte, error) {
	key, value := entries.Fields()[0], entries.Fields()[1]
	texts := key.Leaf() && leafOf(key.Type()).typ == tabular.String
	marks := "[]"
	if texts {
		marks = "{}"
	}
	keys := leaves(key)
	out = append(out, marks[0])
	first := true
	err := each(def, rep, parts, func(part [][]parquet.Value) (err error) {
		if !first {
			out = append(out, ',')
		}
		first = false
		separator := byte(':')
		if !texts {
			out, separator = append(out, '['), ','
		}
		if out, err = appendNode(out, key, def+1, rep+1, part[:keys]); err != nil {
			return err
		}
		if out, err = appendNode(append(out, separator), value, def+1, rep+1, part[keys:]); err != nil {
			return err
		}
		if !texts {
			out = append(out, ']')
		}
		return nil
	})
	return append(out, marks[1]), err
}

// listOf gives the repeated group in a list, and the element in that.
func listOf(n parquet.Node) (inner, element parquet.Node) {
	if !isLogical[*format.ListType](n) || len(n.Fields()) != 1 || !n.Fields()[0].Repeated() {
		return nil, nil
	}
	inner = n.Fields()[0]
	if inner.Leaf() || len(inner.Fields()) != 1 {
		return inner, once{inner} // files of before 2014 have the element itself repeated
	}
	return inner, inner.Fields()[0]
}

// once is a repeated node taken as one element of it.
type once struct{ parquet.Node }

// Repeated implements parquet.Node.
func (once) Repeated() bool { return false }

// Optional implements parquet.Node.
func (once) Optional() bool { return false }

// mapOf gives the repeated group of keys and values in a map.
func mapOf(n parquet.Node) parquet.Node {
	if !isLogical[*format.MapType](n) || len(n.Fields()) != 1 || !n.Fields()[0].Repeated() || n.Fields()[0].Leaf() || len(n.Fields()[0].Fields()) != 2 {
		return nil
	}
	return n.Fields()[0]
}

func isLogical[T format.LogicalTypeValue](n parquet.Node) bool {
	t := n.Type().LogicalType()
	if t == nil {
		return false
	}
	_, ok := t.Value.(T)
	return ok
}

// appendLeaf adds a value that is there.
func appendLeaf(out []byte, t parquet.Type, v parquet.Value) ([]byte, error) {
	l := leafOf(t)
	c := tabular.NewColumn(tabular.Field{Type: l.typ}, 1)
	err := error(nil)
	switch v.Kind() {
	case parquet.Boolean:
		c.Bools[0] = v.Boolean()
	case parquet.Int32:
		err = l.narrow([]int32{v.Int32()}, &c, 0)
	case parquet.Int64:
		err = l.wide([]int64{v.Int64()}, &c, 0)
	case parquet.Float:
		c.Floats[0] = float64(v.Float())
	case parquet.Double:
		c.Floats[0] = v.Double()
	case parquet.ByteArray:
		b := v.ByteArray()
		l.texts(b, []uint32{0, uint32(len(b))}, &c, 0)
	case parquet.FixedLenByteArray:
		b := v.ByteArray()
		l.fixed(b, len(b), 1, &c, 0)
	default:
		return nil, errors.New("a value of kind " + v.Kind().String() + " within others can't be read")
	}
	if errors.Is(err, errRange) {
		return append(out, "null"...), nil
	}
	switch l.typ {
	case tabular.Float:
		if math.IsNaN(c.Floats[0]) || math.IsInf(c.Floats[0], 0) {
			return appendText(out, strconv.FormatFloat(c.Floats[0], 'g', -1, 64)), err
		}
		return strconv.AppendFloat(out, c.Floats[0], 'g', -1, 64), err
	case tabular.Nested:
		return append(out, c.Texts[0]...), err
	case tabular.Bytes:
		return appendText(out, base64.StdEncoding.EncodeToString([]byte(c.Texts[0]))), err
	}
	text, jsonErr := json.Marshal(c.Value(0))
	return append(out, text...), errors.Join(err, jsonErr)
}

func appendText(out []byte, text string) []byte {
	quoted, _ := json.Marshal(text) // a string always can be
	return append(out, quoted...)
}
