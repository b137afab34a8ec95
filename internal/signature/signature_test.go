package signature_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/signature"
)

const mlmodel = `
flavors:
  python_function:
    loader_module: mlflow.sklearn
signature:
  inputs: '[{"type": "double", "name": "width", "required": true}, {"type": "long", "name": "rooms", "required": false}, {"type": "array", "items": {"type": "string"}, "name": "words", "required": true}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]'
  params: null
`

func TestFromMLmodel(t *testing.T) {
	t.Parallel()
	s, err := signature.FromMLmodel([]byte(mlmodel))
	require.NoError(t, err)
	require.Equal(t, &record.Signature{
		Inputs:  []record.SignatureField{{Name: "width", Type: "double"}, {Name: "rooms", Type: "long", Optional: true}, {Name: "words", Type: "any"}},
		Outputs: []record.SignatureField{{Type: "float64", Shape: []int{-1, 2}}},
	}, s)
	s, err = signature.FromMLmodel([]byte("flavors: {}"))
	require.NoError(t, err)
	require.Nil(t, s, "no signature is none")
	for _, bad := range []string{"signature: [", "signature: {inputs: 'x'}", `signature: {inputs: '[{"type": "tensor"}]'}`} {
		_, err = signature.FromMLmodel([]byte(bad))
		require.ErrorIs(t, err, azml.ErrInvalid, bad)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	s, err := signature.Parse([]byte(`{"inputs": [{"name": "x", "type": "double"}], "outputs": [{"type": "string"}]}`))
	require.NoError(t, err)
	require.Equal(t, &record.Signature{Inputs: []record.SignatureField{{Name: "x", Type: "double"}}, Outputs: []record.SignatureField{{Type: "string"}}}, s)
	for text, want := range map[string]string{
		`[]`:                          "no JSON object",
		`{"input": []}`:               `"input"`,
		`{"inputs": {"x": "double"}}`: "no list",
		`{"inputs": [{"name": "x", "type": "double"}, {"name": "x", "type": "long"}]}`:                                       `the name "x"`,
		`{"inputs": [{"name": "x", "type": "double"}, {"name": "y", "type": "tensor", "tensor-spec": {"dtype": "int64"}}]}`:  "can't be mixed",
		`{"inputs": [{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-2]}}]}`:                                 "shape [-2]",
		`{"inputs": [{"type": "tensor", "tensor-spec": {"dtype": "a"}}, {"type": "tensor", "tensor-spec": {"dtype": "a"}}]}`: "has no name",
	} {
		_, err := signature.Parse([]byte(text))
		require.ErrorIs(t, err, azml.ErrInvalid, text)
		require.ErrorContains(t, err, want, text)
	}
}

var table = []record.SignatureField{{Name: "width", Type: "double"}, {Name: "rooms", Type: "long"}, {Name: "note", Type: "string", Optional: true}}

func TestCheckTables(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, body, want string }{
		{"rows", `[[1.5, 2], [3, 4, "x"]]`, ""},
		{"rows below data", `{"data": [[1.5, 2]]}`, ""},
		{"records", `{"data": [{"width": 1, "rooms": 2.0, "more": []}]}`, ""},
		{"split", `{"dataframe_split": {"columns": ["rooms", "width"], "data": [[2, 1.5]]}}`, ""},
		{"split below input_data", `{"input_data": {"columns": ["rooms", "width"], "index": [0], "data": [[2, 1.5]]}}`, ""},
		{"columns", `{"inputs": {"width": [1, 2], "rooms": [3, 4]}}`, ""},
		{"one record", `{"width": 1, "rooms": 2}`, ""},
		{"missing number", `[[null, 2]]`, ""},
		{"a form of its own", `{"rows": [["a"]]}`, ""},
		{"text of its own", `"text"`, ""},
		{"no JSON", `{`, "no JSON"},
		{"two values", `[] []`, "more than one"},
		{"text for a number", `[[1, 2], ["x", 2]]`, `row 2: column "width": "x" is no double`},
		{"fraction for a whole number", `[[1, 2.5]]`, `column "rooms": 2.5 is no long`},
		{"too large", `[[1, 9223372036854775808]]`, `is no long`},
		{"largest", `[[1, 9223372036854775807]]`, ``},
		{"endless exponent", `[[1, 1e999999999]]`, `is no long`},
		{"missing whole number", `[[1, null]]`, `null is no long`},
		{"too few", `[[1]]`, `the column "rooms" is missing`},
		{"too many", `[[1, 2, "x", 4]]`, `4 values, the model takes 3`},
		{"record without", `[{"width": 1}]`, `row 1: the column "rooms" is missing`},
		{"split without", `{"dataframe_split": {"columns": ["width"], "data": [[1]]}}`, `the column "rooms" is missing`},
		{"split with short rows", `{"dataframe_split": {"columns": ["width", "rooms"], "data": [[1]]}}`, `row 1: the column "rooms" is missing`},
		{"columns without", `{"inputs": {"width": [1, 2]}}`, `the column "rooms" is missing`},
		{"columns of wrong type", `{"inputs": {"width": [1, "y"], "rooms": [1, 2]}}`, `row 2: column "width": "y" is no double`},
		{"values for rows", `[1, 2]`, "1 stands where a row of 3 columns belongs"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			expect(t, signature.Check(table, []byte(tt.body)), tt.want)
		})
	}
	require.NoError(t, signature.Check(nil, []byte("{")), "who says nothing checks nothing")
	require.NoError(t, signature.Check([]record.SignatureField{{Type: "string"}}, []byte(`["a", "b"]`)), "values are rows of one column")
	expect(t, signature.Check([]record.SignatureField{{Type: "boolean"}}, []byte(`{"predictions": [true, 1]}`)), "row 2: 1 is no boolean")
}

// TestCheckValues: what MLflow and pandas make a time or a number of passes.
func TestCheckValues(t *testing.T) {
	t.Parallel()
	for kind, values := range map[string]struct{ good, bad []string }{
		"datetime": {
			[]string{`"2026-02-03"`, `"2026-02-03T04:05:06Z"`, `"2026-02-03 04:05:06.123456+02:00"`, `"2024-02-29T04"`, `"2026-02"`, `"20260203"`, `"Feb 3, 2026"`, `"10:30"`,
				`""`, `"NaT"`, `"nan"`, `"now"`, `"today"`, `1764288000`, `1764288000.5`, `null`},
			[]string{`"yesterday"`, `"hello"`, `"2026-02-30"`, `"2026-02-30T04:05:06Z"`, `"2026-13-01"`, `"2025-02-29"`, `true`},
		},
		"float":  {[]string{`1e38`, `-3.4028234e38`, `1e-60`, `null`}, []string{`1e39`, `-3.5e38`, `1e400`, `"1"`, `true`}},
		"double": {[]string{`1e39`, `1.7976931348623157e308`, `1e-400`, `null`}, []string{`1e309`, `-1e400`, `"1"`}},
	} {
		field := []record.SignatureField{{Type: kind}}
		for _, value := range values.good {
			require.NoError(t, signature.Check(field, []byte("["+value+"]")), "%s %s", kind, value)
		}
		for _, value := range values.bad {
			require.ErrorContains(t, signature.Check(field, []byte("["+value+"]")), "no "+kind, value)
		}
	}
	tensor := func(kind, value string) error {
		return signature.Check([]record.SignatureField{{Type: kind, Shape: []int{-1}}}, []byte("["+value+"]"))
	}
	require.NoError(t, tensor("float64", "1e39"))
	require.ErrorContains(t, tensor("float32", "1e39"), "1e39 is no float32")
}

func TestCheckTensors(t *testing.T) {
	t.Parallel()
	one := []record.SignatureField{{Type: "float64", Shape: []int{-1, 2}}}
	two := []record.SignatureField{{Name: "a", Type: "int64", Shape: []int{-1}}, {Name: "b", Type: "str", Shape: []int{-1, 1}}}
	tests := []struct {
		name   string
		fields []record.SignatureField
		body   string
		want   string
	}{
		{"one", one, `{"inputs": [[1, 2], [3, 4.5]]}`, ""},
		{"none of any length", one, `[]`, ""},
		{"ragged", one, `{"inputs": [[1, 2], [3]]}`, "dimension 2 has 1 values and not 2"},
		{"too deep", one, `{"inputs": [[[1], 2]]}`, "more than 2 dimensions"},
		{"too flat", one, `{"inputs": [1, 2]}`, "1 stands where a list belongs, in dimension 2"},
		{"text", one, `[[1, "2"]]`, `"2" is no float64; the model takes float64 of shape [-1 2]`},
		{"two", two, `{"inputs": {"a": [1, 2], "b": [["x"], ["y"]]}}`, ""},
		{"two by rows", two, `{"instances": [{"a": 1, "b": ["x"]}]}`, ""},
		{"one missing", two, `{"inputs": {"a": [1, 2]}}`, `the tensor "b" is missing`},
		{"one missing in a row", two, `{"instances": [{"a": 1, "b": ["x"]}, {"a": 1}]}`, `row 2: the tensor "b" is missing`},
		{"wrong in a row", two, `{"instances": [{"a": 1.5, "b": ["x"]}]}`, `row 1: tensor "a": 1.5 is no int64`},
		{"rows that are none", two, `{"instances": [1]}`, `row 1: 1 stands where an object`},
		{"a form of its own", two, `{"images": []}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			expect(t, signature.Check(tt.fields, []byte(tt.body)), tt.want)
		})
	}
}

func expect(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" {
		require.NoError(t, err)
		return
	}
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.ErrorContains(t, err, want)
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(`{"dataframe_split": {"columns": ["rooms", "width"], "data": [[2, 1.5]]}}`), true)
	f.Add([]byte(`{"inputs": {"a": [1, 2], "b": [["x"], ["y"]]}}`), false)
	f.Add([]byte(mlmodel), false)
	tensors := []record.SignatureField{{Name: "a", Type: "int64", Shape: []int{-1}}, {Name: "b", Type: "str", Shape: []int{-1, 1}}}
	f.Fuzz(func(t *testing.T, body []byte, rows bool) {
		list := tensors
		if rows {
			list = table
		}
		if err := signature.Check(list, body); err != nil {
			require.ErrorIs(t, err, azml.ErrInvalid)
		}
		if s, err := signature.Parse(body); err == nil {
			require.NoError(t, signature.Validate(s))
		} else {
			require.ErrorIs(t, err, azml.ErrInvalid)
		}
		if _, err := signature.FromMLmodel(body); err != nil {
			require.ErrorIs(t, err, azml.ErrInvalid)
		}
	})
}
