package jsonlines

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/datafile"
	"github.com/azml-go/azml/tabular"
)

// table reads all rows as one line each, with the types of the columns first.
func table(t *testing.T, types map[string]tabular.Type, opts *Options, texts ...string) (lines []string, err error) {
	t.Helper()
	var files []datafile.File
	for i, text := range texts {
		files = append(files, datafile.Bytes(fmt.Sprintf("%d.jsonl", i+1), []byte(text)))
	}
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
	many := strings.Repeat("{\"a\":1}\n", 300)
	for name, tt := range map[string]struct {
		texts []string
		types map[string]tabular.Type
		opts  Options
		want  []string
	}{
		"types": {texts: []string{`{"i":1,"f":1.5,"b":true,"s":"a\n\u00e9","t":"2024-02-29","n":{"x":[1, 2]},"none":null}` + "\r\n\n" + `{"f":2,"i":-3}`},
			want: []string{"i long|f float|b bool|s string|t datetime|n nested|none string", "1|1.5|true|a\né|2024-02-29 00:00:00 +0000 UTC|{\"x\":[1, 2]}|<nil>", "-3|2|<nil>|<nil>|<nil>|<nil>|<nil>"}},
		"mixed":            {texts: []string{`{"a":1}` + "\n" + `{"a":"x"}` + "\n" + `{"a":true}`}, want: []string{"a string", "1", "x", "true"}},
		"texts of numbers": {texts: []string{`{"a":"1"}`}, want: []string{"a string", "1"}},
		"long numbers":     {texts: []string{`{"a":12345678901234567890}`}, want: []string{"a string", "12345678901234567890"}},
		"twice":            {texts: []string{`{"a":null,"a":2}`}, want: []string{"a long", "2"}},
		"dropped":          {texts: []string{"{\"a\":1}\n{\"a\":\n7\n{\"a\":2}\n"}, opts: Options{DropInvalid: true}, want: []string{"a long", "1", "2"}},
		"files":            {texts: []string{`{"a":1}`, "", `{"a":2,"b":"x"}`}, want: []string{"a long|b string", "1|<nil>", "2|x"}},
		"set types":        {texts: []string{`{"a":1}`}, types: map[string]tabular.Type{"a": tabular.Float}, want: []string{"a float", "1"}},
		"missing":          {texts: []string{many + `{"a":"x"}`}, opts: Options{NullOnError: true}, want: append(append([]string{"a long"}, strings.Split(strings.Repeat("1 ", 300), " ")[:300]...), "<nil>")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := table(t, tt.types, &tt.opts, tt.texts...)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("{\"a\":1}\n", 300)
	for name, tt := range map[string]struct {
		text string
		opts Options
		want string
	}{
		"malformed":    {text: many + `{"a":}`, want: "1.jsonl, line 301: it is no JSON: invalid character '}'"},
		"no object":    {text: many + `[1]`, want: "1.jsonl, line 301: it is no JSON object"},
		"two values":   {text: many + `{"a":1}{"a":2}`, want: "line 301: it is no JSON"},
		"another type": {text: many + `{"a":"x"}`, want: `line 301: column "a": it is no long`},
		"a fraction":   {text: many + `{"a":1.5}`, want: `line 301: column "a": it is no long`},
		"deep":         {text: `{"a":` + strings.Repeat("[", 100_000), want: "exceeded max depth"},
		"no UTF-8":     {text: many + "{\"a\":\"\xff\"}", want: "line 301: it is not UTF-8"},
		"nothing":      {text: "\n\n", want: "there are no JSON objects"},
		"encoding":     {text: many, opts: Options{Encoding: "x"}, want: `encoding "x"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := table(t, nil, &tt.opts, tt.text)
			require.ErrorIs(t, err, azml.ErrInvalid, "%q", got)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

// FuzzRead compares the members of an object with encoding/json's.
func FuzzRead(f *testing.F) {
	for _, text := range []string{`{"a":1,"b":[{"c":"\ud83d\ude00"}],"c":"x"}`, `{"":{}}`, `{"a":"\u0000"}`, `{"a":1e5}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsAny(text, "\n\r") {
			return
		}
		var want map[string]json.RawMessage
		jsonErr := json.Unmarshal([]byte(text), &want)
		files := []datafile.File{datafile.Bytes("x", []byte(text))}
		schema, err := Infer(t.Context(), files, nil, 1, &Options{})
		if jsonErr != nil || want == nil {
			require.Error(t, err)
			return
		}
		if err != nil {
			return // no members, or no UTF-8
		}
		for part, err := range Read(t.Context(), files, schema, nil, &Options{}) {
			require.NoError(t, err)
			require.Equal(t, 1, part.Rows)
			require.Len(t, part.Columns, len(want))
			for i := range part.Columns {
				c := &part.Columns[i]
				raw, there := want[c.Name]
				require.True(t, there, c.Name)
				var v any
				require.NoError(t, json.Unmarshal(raw, &v))
				if s, isText := v.(string); isText && c.Type == tabular.String {
					require.Equal(t, s, c.Texts[0])
				}
				require.Equal(t, v == nil, c.Null(0))
			}
		}
	})
}
