package delimited

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/datafile"
	"github.com/azml-go/azml/internal/textvalue"
	"github.com/azml-go/azml/tabular"
)

// fieldOf gives a scanner of one field.
func fieldOf(text string) scanner {
	return newScanner(append([]byte(text+"\n"), make([]byte, datafile.Padding)...)[:len(text)+1], ',')
}

// TestTimes compares the times that are read in one pass with those that are read the
// long way, also of texts that are nearly times.
func TestTimes(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	fast := 0
	var last day
	for range 50_000 {
		at := time.Unix(r.Int64N(18_000_000_000)-9_000_000_000, 0).UTC()
		text := []byte(at.Format([]string{"2006-01-02 15:04:05", "2006-01-02T15:04:05"}[r.IntN(2)]))
		for range r.IntN(3) { // one character is another
			text[r.IntN(len(text))] = "0123456789-: Tt/.\xff\n,"[r.IntN(20)]
		}
		s := fieldOf(string(text))
		got, next, ok := s.time(0, &last)
		if !ok {
			continue
		}
		fast++
		want, fits, inRange := textvalue.Time(text[:next], nil)
		if !fits || !inRange || got != want {
			t.Fatalf("%q: %d instead of %d", text, got, want)
		}
	}
	require.Greater(t, fast, 10_000)
}

// TestUsual tells usual forms from all others, which are left to the long way.
func TestUsual(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"true": "true 4", "false": "false 5", "true\r": "true 5", "True": "", "tru": "", "truex": "", "": "", "f": "", "true,": "true 4",
	} {
		s := fieldOf(text)
		v, next, ok := s.bool(0)
		require.Equal(t, want, map[bool]string{true: fmt.Sprint(v, next)}[ok], text)
	}
	for text, want := range map[string]string{"a": "a 1", "a b,c": "a b 3", "a\r": "a 2", "": "", "\"a\"": "", "a\"b": "", "\r": ""} {
		s := fieldOf(text)
		v, next, ok := s.text(0)
		require.Equal(t, want, map[bool]string{true: fmt.Sprint(string(v), " ", next)}[ok], text)
	}
}

// TestPool has batches of a pool hold what those of none do, whatever its memory had
// before.
func TestPool(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("a,b,c,d,e\n")
	for i := range 30_000 {
		fmt.Fprintf(&text, "%d,%d.5,text %d,%t,2024-01-%02d 00:00:00\n", i, i, i, i%2 == 0, i%28+1)
		if i%1000 == 0 {
			text.WriteString(",,,,\n")
		}
	}
	files := []datafile.File{datafile.Bytes("x.csv", []byte(text.String()))}
	read := func(pool *Pool) (rows []string) {
		schema, err := Infer(t.Context(), files, nil, 200, &Options{})
		require.NoError(t, err)
		for part, err := range Read(t.Context(), files, schema, []string{"e", "d", "c", "b", "a"}, &Options{Pool: pool}) {
			require.NoError(t, err)
			for i := range part.Rows {
				var row []any
				for c := range part.Columns {
					row = append(row, part.Columns[c].Value(i))
				}
				rows = append(rows, fmt.Sprint(row...))
			}
			part.Batch.Columns = append(part.Batch.Columns, part.Batch.Columns[0]) // one twice
			pool.Recycle(part.Batch)
		}
		return rows
	}
	dirty := &Pool{}
	for _, typ := range []tabular.Type{tabular.Int, tabular.Float, tabular.String, tabular.Bool} {
		c := tabular.NewColumn(tabular.Field{Type: typ}, 100_000)
		for i := range c.Len() {
			switch typ {
			case tabular.Int:
				c.Ints[i] = 7
			case tabular.Float:
				c.Floats[i] = 7
			case tabular.Bool:
				c.Bools[i] = true
			default:
				c.Texts[i] = "dirt"
			}
		}
		dirty.Recycle(&tabular.Batch{Rows: c.Len(), Columns: []tabular.Column{c}})
	}
	require.Equal(t, read(nil), read(dirty))
}
