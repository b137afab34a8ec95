package delimited

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/datafile"
	"github.com/azml-go/azml/tabular"
)

// sheet makes files of texts, named 1.csv, 2.csv ….
func sheet(texts ...string) []datafile.File {
	files := make([]datafile.File, len(texts))
	for i, text := range texts {
		files[i] = datafile.Bytes(fmt.Sprintf("%d.csv", i+1), []byte(text))
	}
	return files
}

// table reads all rows as one line each, with the types of the columns first.
func table(t *testing.T, files []datafile.File, types map[string]tabular.Type, opts *Options) (lines []string, err error) {
	t.Helper()
	schema, err := Infer(t.Context(), files, types, 200, opts)
	if err != nil {
		return nil, err
	}
	var head []string
	for _, f := range schema {
		head = append(head, f.Name+" "+string(f.Type))
	}
	lines = append(lines, strings.Join(head, "|"))
	for part, err := range Read(t.Context(), files, schema, nil, opts) {
		if err != nil {
			return lines, err
		}
		for row := range part.Rows {
			var values []string
			for c := range part.Columns {
				values = append(values, fmt.Sprint(part.Columns[c].Value(row)))
			}
			lines = append(lines, strings.Join(values, "|"))
		}
	}
	return lines, nil
}

func TestRead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		files []datafile.File
		types map[string]tabular.Type
		opts  Options
		want  []string
	}{
		"types": {files: sheet("i,f,b,t,s\n1,2.5,True,2024-02-29,x\n-3,1e3,false,2024-02-29T10:00:01.5+01:00,\"y,\"\"z\"\"\"\n"),
			want: []string{"i long|f float|b bool|t datetime|s string", "1|2.5|true|2024-02-29 00:00:00 +0000 UTC|x", `-3|1000|false|2024-02-29 09:00:01.5 +0000 UTC|y,"z"`}},
		"missing":                {files: sheet("a,b\n1,\n,x\n"), want: []string{"a long|b string", "1|<nil>", "<nil>|x"}},
		"empty as string":        {files: sheet("a,b\n1,\n,x\n"), opts: Options{EmptyAsString: true}, want: []string{"a long|b string", "1|", "<nil>|x"}},
		"numbers for missing":    {files: sheet("a,b,c\n1,0.5,true\n-999,-999,NA\n"), opts: Options{Nulls: []string{"-999", "NA"}}, want: []string{"a long|b float|c bool", "1|0.5|true", "<nil>|<nil>|<nil>"}},
		"words for missing":      {files: sheet("a\n1\nNA\n?\n"), opts: Options{Nulls: []string{"NA", "?"}}, want: []string{"a long", "1", "<nil>", "<nil>"}},
		"line breaks in quotes":  {files: sheet("a,b\r\n\"x\r\ny\",1\r\n"), want: []string{"a string|b long", "x\r\ny|1"}},
		"semicolons":             {files: sheet("a;b\n1,5;2\n"), opts: Options{Separator: ';'}, want: []string{"a string|b long", "1,5|2"}},
		"tabs and spaces":        {files: sheet("a\tb\n 1 \t 2.5\n"), opts: Options{Separator: '\t'}, want: []string{"a long|b float", "1|2.5"}},
		"no names":               {files: sheet("1,x\n", "2,y\n"), opts: Options{Header: HeaderNone}, want: []string{"Column1 long|Column2 string", "1|x", "2|y"}},
		"names in the first":     {files: sheet("a,b\n1,x\n", "2,y\n"), opts: Options{Header: HeaderFirst}, want: []string{"a long|b string", "1|x", "2|y"}},
		"names of many files":    {files: sheet("a,b\n1,x\n", "", "b,c\ny,3\n"), opts: Options{Header: HeaderCombine}, want: []string{"a long|b string|c long", "1|x|<nil>", "<nil>|y|3"}},
		"names twice, or none":   {files: sheet("a,a,,a.1,a\n1,2,3,4,5\n"), want: []string{"a long|a.2 long|Column3 long|a.1 long|a.3 long", "1|2|3|4|5"}},
		"set types":              {files: sheet("zip\n07030\n"), types: map[string]tabular.Type{"zip": tabular.String}, want: []string{"zip string", "07030"}},
		"ints too long":          {files: sheet("id\n1\n12345678901234567890\n"), want: []string{"id string", "1", "12345678901234567890"}},
		"longest ints":           {files: sheet("i\n-9223372036854775808\n9223372036854775807\n"), want: []string{"i long", "-9223372036854775808", "9223372036854775807"}},
		"words for numbers":      {files: sheet("x\nNaN\n-inf\n1\n"), want: []string{"x float", "NaN", "-Inf", "1"}},
		"times by layouts":       {files: sheet("t\n31.12.2024\n2024/12/30\n"), types: map[string]tabular.Type{"t": tabular.Time}, opts: Options{Layouts: map[string][]string{"t": {"02.01.2006", "2006/01/02"}}}, want: []string{"t datetime", "2024-12-31 00:00:00 +0000 UTC", "2024-12-30 00:00:00 +0000 UTC"}},
		"missing by choice":      {files: sheet("a,b\n1,2\nx,3\n4\n"), types: map[string]tabular.Type{"a": tabular.Int}, opts: Options{NullOnError: true}, want: []string{"a long|b long", "1|2", "<nil>|3", "4|<nil>"}},
		"times out of range":     {files: sheet("t\n1500-01-01\n"), types: map[string]tabular.Type{"t": tabular.Time}, opts: Options{NullOnError: true}, want: []string{"t datetime", "<nil>"}},
		"no line break at last":  {files: sheet("a,b\n1,2"), want: []string{"a long|b long", "1|2"}},
		"empty lines":            {files: sheet("\n\r\na\n\n1\n\r\n2\n\n"), want: []string{"a long", "1", "2"}},
		"all missing":            {files: sheet("a,b\n,1\n"), want: []string{"a string|b long", "<nil>|1"}},
		"names only":             {files: sheet("a,b\n"), want: []string{"a string|b string"}},
		"byte order mark":        {files: sheet("\uFEFFa\n1\n"), want: []string{"a long", "1"}},
		"mark of UTF-8 by name":  {files: sheet("\uFEFFa\n1\n"), opts: Options{Encoding: "utf8bom"}, want: []string{"a long", "1"}},
		"bare carriage return":   {files: sheet("a\nx\ry\n"), want: []string{"a string", "x\ry"}},
		"a quote among the last": {files: sheet("a\n\"x\""), want: []string{"a string", "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := table(t, tt.files, tt.types, &tt.opts)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	many := "a,b\n" + strings.Repeat("1,2\n", 300)
	for name, tt := range map[string]struct {
		files []datafile.File
		types map[string]tabular.Type
		opts  Options
		want  string
	}{
		"later row of another type":    {files: sheet(many+"1,x\n", many), want: `1.csv, row 301 (line 302), column "b": "x" is no long`},
		"in the second file":           {files: sheet(many, many+"\n\nq,2\n"), want: `2.csv, row 301 (line 304), column "a": "q" is no long`},
		"behind line breaks in quotes": {files: sheet("a,b\n\"x\ny\",1\nz,2,3\n"), want: `1.csv: invalid: row 2: it has 3 fields instead of 2`},
		"in a later block":             {files: sheet("a,b\n" + strings.Repeat(strings.Repeat("x", 20_000)+",1\n", 150) + "1\n"), want: `1.csv: invalid: row 151: it has 1 fields instead of 2`},
		"fields missing":               {files: sheet("a,b\n1,2\n1\n"), want: `row 2: it has 1 fields instead of 2`},
		"a quote within":               {files: sheet(many + "1,2\"x\n"), want: `row 301 (line 302), column "b": a quote within a field`},
		"text behind a quote":          {files: sheet(many + "\"1\"x,2\n"), want: `column "a": a character behind the quote`},
		"a quote that stays open":      {files: sheet(many + "\"1,2\n"), want: `row 301 (line 302), column "a": the quote that opens a field is not closed`},
		"malformed among the first":    {files: sheet("a\n\"x\"y\n"), want: `1.csv: invalid: row 1: a character behind`},
		"other names":                  {files: sheet("a,b\n1,2\n", "a,c\n1,2\n"), want: `2.csv: invalid: its columns are not those of the dataset: column 2 is "c" instead of "b"`},
		"fewer names":                  {files: sheet("a,b\n1,2\n", "a\n1\n"), want: `2.csv: invalid: its columns are not those of the dataset: it lacks "b"`},
		"no UTF-8":                     {files: sheet(many + "1,2\nf\xfcr,2\n"), want: `row 302 (line 303): the bytes fc 72 2c 32 are not UTF-8`},
		"a type for no column":         {files: sheet("a\n1\n"), types: map[string]tabular.Type{"b": tabular.Int}, want: `a type is set for column "b", which is not there`},
		"nothing at all":               {files: sheet("", "\n"), want: `2.csv: invalid: it has no names of columns`},
		"no files":                     {want: `there is no data`},
		"absurd columns":               {files: sheet(strings.Repeat("a,", maxColumns+1) + "\n"), want: `it has 100002 columns, at most 100000 can be read`},
		"times out of range":           {files: sheet("t\n1500-01-01\n"), types: map[string]tabular.Type{"t": tabular.Time}, want: `"1500-01-01" is no datetime`},
		"a separator of numbers":       {files: sheet("a\n"), opts: Options{Separator: '5'}, want: `separator '5'`},
		"an unknown encoding":          {files: sheet("a\n"), opts: Options{Encoding: "ebcdic"}, want: `encoding "ebcdic": use one of utf8`},
		"an unknown header":            {files: sheet("a\n"), opts: Options{Header: "some"}, want: `header "some"`},
		"no gzip":                      {files: []datafile.File{datafile.Bytes("x.csv.gz", []byte("a,b\n"))}, want: `"x.csv.gz" is no gzip file`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := table(t, tt.files, tt.types, &tt.opts)
			require.ErrorIs(t, err, azml.ErrInvalid, "%q", got)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

// TestReadBlocks reads a table of many blocks, with quotes that a block may end
// in, in the order of its rows.
func TestReadBlocks(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("i,s\n")
	const rows = 200_000
	for i := range rows {
		if i%3 == 0 {
			fmt.Fprintf(&text, "%d,\"a \"\"quoted\"\"\n%d, text\"\n", i, i)
		} else {
			fmt.Fprintf(&text, "%d,plain %d\n", i, i)
		}
	}
	require.Greater(t, text.Len(), 3*datafile.BlockSize)
	files := sheet(text.String())
	schema := tabular.Schema{{Name: "i", Type: tabular.Int}, {Name: "s", Type: tabular.String}}
	n := 0
	for part, err := range Read(t.Context(), files, schema, []string{"s", "i"}, &Options{}) {
		require.NoError(t, err)
		for row := range part.Rows {
			want := fmt.Sprintf("plain %d", n)
			if n%3 == 0 {
				want = fmt.Sprintf("a \"quoted\"\n%d, text", n)
			}
			require.Equal(t, want, part.Columns[0].Texts[row])
			require.EqualValues(t, n, part.Columns[1].Ints[row])
			n++
		}
	}
	require.Equal(t, rows, n)
}

func TestReadStops(t *testing.T) {
	t.Parallel()
	files := sheet("a\n" + strings.Repeat("1\n", 3*datafile.BlockSize))
	for _, err := range Read(t.Context(), files, tabular.Schema{{Name: "a", Type: tabular.Int}}, nil, &Options{}) {
		require.NoError(t, err)
		break // and goleak finds what goes on
	}
}

func TestRecordWithoutEnd(t *testing.T) {
	t.Parallel()
	files := sheet("a\n\"" + strings.Repeat("x\n", datafile.MaxRecord/2+1))
	for _, err := range Read(t.Context(), files, tabular.Schema{{Name: "a", Type: tabular.String}}, nil, &Options{}) {
		require.ErrorIs(t, err, azml.ErrInvalid)
		require.ErrorContains(t, err, "is a quote not closed?")
	}
}

func TestEncodings(t *testing.T) {
	t.Parallel()
	const text = "name,note\nJürgen,\"Straße\r\n\"\"5\"\"\"\nZoë,é\n"
	want := []string{"name string|note string", "Jürgen|Straße\r\n\"5\"", "Zoë|é"}
	for name, e := range map[string]encoding.Encoding{
		"latin1": charmap.ISO8859_1, "iso88591": charmap.ISO8859_1, "windows1252": charmap.Windows1252,
		"utf16": unicode.UTF16(unicode.BigEndian, unicode.UseBOM), "utf32": utf32.UTF32(utf32.BigEndian, utf32.UseBOM),
		"utf8bom": unicode.UTF8BOM,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := e.NewEncoder().String(text)
			require.NoError(t, err)
			got, err := table(t, sheet(data), nil, &Options{Encoding: name})
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
	t.Run("utf16 without mark", func(t *testing.T) {
		t.Parallel()
		data, err := unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder().String(text)
		require.NoError(t, err)
		got, err := table(t, sheet(data), nil, &Options{Encoding: "utf16"})
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

// TestGzip reads a small file that unpacks to a large one, and holds none of it.
func TestGzip(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	const rows = 8 << 20
	_, err := w.Write([]byte("a\n" + strings.Repeat("1\n", rows)))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	n := 0
	for part, err := range Read(t.Context(), []datafile.File{datafile.Bytes("x.csv.gz", packed.Bytes())}, tabular.Schema{{Name: "a", Type: tabular.Int}}, nil, &Options{}) {
		require.NoError(t, err)
		n += part.Rows
	}
	require.Equal(t, rows, n)
}
