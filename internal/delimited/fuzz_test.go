package delimited

import (
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/datafile"
)

// peer reads the text by encoding/csv.
func peer(text string) (rows [][]string, err error) {
	r := csv.NewReader(strings.NewReader(text))
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
}

// ours reads the text as strings.
func ours(t *testing.T, text string) (rows [][]string, err error) {
	opts := &Options{Header: HeaderNone, EmptyAsString: true}
	files := []datafile.File{datafile.Bytes("x.csv", []byte(text))}
	schema, err := Infer(t.Context(), files, nil, 0, opts)
	if err != nil {
		return nil, err
	}
	for part, err := range Read(t.Context(), files, schema, nil, opts) {
		if err != nil {
			return rows, err
		}
		for i := range part.Rows {
			row := make([]string, len(schema))
			for c := range part.Columns {
				row[c] = strings.ReplaceAll(part.Columns[c].Texts[i], "\r\n", "\n") // as encoding/csv does
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func FuzzRead(f *testing.F) {
	for _, text := range []string{
		"a,b\n1,2\n", "a,b\r\n1,2\r\n", "\"a\"\"b\",\"c\nd\"\n", "\"\",\n", "a\n\n\nb", "a,b\n1\n", "\"a\"x,b\n", "a\"b\n",
		"\"open\n", "ä,\"ö\"\"ü\"\n", "\r\n\"a\r\nb\"\r\n", "a,b,c,d,e,f,g,h\n,,,,,,,\n", strings.Repeat("long", 50) + ",\"" + strings.Repeat("q\"\"", 40) + "\"\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) || strings.HasPrefix(text, "\uFEFF") {
			t.Skip("encoding/csv takes any bytes")
		}
		want, wantErr := peer(text)
		got, err := ours(t, text)
		if wantErr != nil || len(want) == 0 {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}
