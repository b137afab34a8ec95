package scoring

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/openinference"
)

func TestTensorValues(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		datatype openinference.Datatype
		text     string
		want     any    // of shape [-1]; nil when it is refused
		again    string // how it is written; as text when ""
	}{
		"float32":            {openinference.FP32, `[1,-0.5,1e3,null]`, []float32{1, -0.5, 1000, float32(math.NaN())}, `[1,-0.5,1000,null]`},
		"float32, too large": {openinference.FP32, `[1e39]`, nil, ""},
		"float64":            {openinference.FP64, `[1e300,0.1]`, []float64{1e300, 0.1}, `[1e+300,0.1]`},
		"int8":               {openinference.Int8, `[-128,127]`, []int8{-128, 127}, ""},
		"int8, too large":    {openinference.Int8, `[128]`, nil, ""},
		"int16":              {openinference.Int16, `[7.0,1e2]`, []int16{7, 100}, `[7,100]`},
		"int32, a fraction":  {openinference.Int32, `[7.5]`, nil, ""},
		"int64":              {openinference.Int64, `[-9223372036854775808,9223372036854775807]`, []int64{math.MinInt64, math.MaxInt64}, ""},
		"int64, null":        {openinference.Int64, `[null]`, nil, ""},
		"uint8":              {openinference.Uint8, `[255,2.0]`, []uint8{255, 2}, `[255,2]`},
		"uint8, negative":    {openinference.Uint8, `[-1]`, nil, ""},
		"uint64":             {openinference.Uint64, `[18446744073709551615]`, []uint64{math.MaxUint64}, ""},
		"bool":               {openinference.Bool, `[true,false]`, []bool{true, false}, ""},
		"bool, a number":     {openinference.Bool, `[1]`, nil, ""},
		"text":               {openinference.Bytes, `["a","\"]\\","ä"]`, []string{"a", `"]\`, "ä"}, `["a","\"]\\","ä"]`},
		"text, a number":     {openinference.Bytes, `[1]`, nil, ""},
		"an object":          {openinference.Bytes, `[{"a": ["]", 1]}, 2]`, nil, ""},
		"spaces":             {openinference.Int64, " [ 1 ,\n2\t] ", []int64{1, 2}, `[1,2]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inputs := []openinference.TensorMetadata{{Name: "x", Datatype: c.datatype, Shape: []int64{-1}}}
			got, err := readTensors([]byte(`{"x": `+c.text+`}`), inputs)
			if c.want == nil {
				require.ErrorIs(t, err, azml.ErrInvalid)
				require.ErrorContains(t, err, `input "x"`)
				return
			}
			require.NoError(t, err)
			require.Equal(t, reflect.TypeOf(c.want), reflect.TypeOf(got[0].Data))
			again, err := writeTensors(got)
			require.NoError(t, err)
			text := c.again
			if text == "" {
				text = c.text
			}
			require.Equal(t, `{"x":`+text+`}`, string(again))
			carried, err := toProtocol(got)
			require.NoError(t, err)
			require.NoError(t, carried[0].Data.Fits(c.datatype))
			same := fromProtocol(carried, inputs)
			once, err := writeTensors(same)
			require.NoError(t, err)
			require.Equal(t, again, once, "the protocol's values are the same")
		})
	}
}

// FuzzReadTensors: whatever is sent is refused as the client's fault, or gives tensors
// that hold what their shapes say and read the same again.
func FuzzReadTensors(f *testing.F) {
	for _, text := range []string{`{"a": [[1, 2]], "b": [["x"]]}`, `{"inputs": {"a": [[1.5e3, null], [0, -1]], "b": []}}`, `{"data": {"a": [], "b": [[]]}}`,
		`[[1, 2]]`, `{"a": 1`, `{"a": [[1, {"]": "["}]], "b": [["\""]]}`, `""`, `{"data": "]"}`, "", `{"a": [[1, 2]], "b": [["x"]], "c": 1}`} {
		f.Add([]byte(text))
	}
	inputs := []openinference.TensorMetadata{{Name: "a", Datatype: openinference.FP32, Shape: []int64{-1, 2}}, {Name: "b", Datatype: openinference.Bytes, Shape: []int64{-1, -1}}}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, takes := range [][]openinference.TensorMetadata{inputs, inputs[:1], inputs[1:]} {
			got, err := readTensors(body, takes)
			if err != nil {
				if !errors.Is(err, azml.ErrInvalid) {
					t.Fatalf("%s: %v", body, err)
				}
				continue
			}
			if !json.Valid(body) {
				t.Fatalf("%q is no JSON", body)
			}
			for i := range got {
				if n := max(got[i].Shape[0], 0) * max(got[i].Shape[1], 0); n != int64(kinds[takes[i].Datatype].length(got[i].Data)) {
					t.Fatalf("%s: %v", body, got[i])
				}
			}
			if got[len(got)-1].Shape[1] < 0 { // of no rows nothing else is known
				continue
			}
			text, err := writeTensors(got)
			if err != nil {
				t.Fatal(err)
			}
			again, err := readTensors(text, takes)
			if err != nil {
				t.Fatal(err)
			}
			once, err := writeTensors(again)
			if err != nil || string(once) != string(text) {
				t.Fatalf("%s: %s, then %s %v", body, text, once, err)
			}
		}
	})
}

// TestInfiniteValues: what a model's numbers can't hold is null, as in all of JSON.
func TestInfiniteValues(t *testing.T) {
	t.Parallel()
	inf := float32(math.Inf(1))
	body, err := writeTensors([]Tensor{{Name: "y", Shape: []int64{3}, Data: []float32{inf, -inf, 1}}})
	require.NoError(t, err)
	require.JSONEq(t, `{"y": [null, null, 1]}`, string(body))
}
