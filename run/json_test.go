package run

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMetricsAsJSON(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		value any
		want  string
	}{
		"number":  {0.5, `0.5`},
		"integer": {int64(1) << 60, `1152921504606846976`},
		"odd":     {[]any{math.NaN(), math.Inf(1), math.Inf(-1), "x", nil}, `["NaN","Infinity","-Infinity","x",null]`},
		"table":   {[]Column{{"a", []any{1.0}}, {"b", []any{math.NaN()}}}, `{"a":[1],"b":["NaN"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := json.Marshal(Metric{Name: "m", Kind: MetricScalar, Value: test.value})
			require.NoError(t, err)
			var got struct{ Value json.RawMessage }
			require.NoError(t, json.Unmarshal(data, &got))
			require.JSONEq(t, test.want, string(got.Value))
		})
	}
	data, err := json.Marshal(Summary{Name: "m", Count: 2, NaNs: 1, Numbers: 1, Min: math.Inf(-1), Max: 2, Mean: math.Inf(-1)})
	require.NoError(t, err)
	require.Contains(t, string(data), `"max":2,"mean":"-Infinity","min":"-Infinity"`)
	data, err = json.Marshal(Summary{Name: "m", Count: 1, NaNs: 1})
	require.NoError(t, err)
	require.NotContains(t, string(data), "min")
	require.NotContains(t, string(data), "mean")
}
