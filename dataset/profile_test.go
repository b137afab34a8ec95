package dataset_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/dataset"
)

func TestProfile(t *testing.T) {
	t.Parallel()
	// mean 3, sample variance 2.5 of the x; moments by hand
	ws, _ := setup(t, map[string]string{"a.csv": "x,s,b,t,e\n1,a,true,2024-01-01,1\n2,b,false,2024-01-03,1\n3,a,true,,1\n4,,true,2024-01-02,1\n5,a,,2024-01-02,1\n"})
	d := must(t)(ws.Datasets().FromDelimitedFiles(t.Context(), at("a.csv"), nil))
	p, err := d.Profile(t.Context(), nil)
	require.NoError(t, err)
	require.EqualValues(t, 5, p.Rows)
	x := p.Columns[0]
	require.EqualValues(t, 5, x.Count)
	require.Equal(t, int64(1), x.Min)
	require.Equal(t, int64(5), x.Max)
	require.InDelta(t, 3, x.Numbers.Mean, 1e-12)
	require.InDelta(t, 2.5, x.Numbers.Variance, 1e-12)
	require.InDelta(t, math.Sqrt(2.5), x.Numbers.StandardDeviation, 1e-12)
	require.InDelta(t, 0, x.Numbers.Skewness, 1e-12)
	require.InDelta(t, -1.2, x.Numbers.Kurtosis, 1e-12) // of 5·34/10² − 3, for a sample
	require.Equal(t, dataset.Quantile{Share: 0.25, Value: 2}, x.Numbers.Quantiles[3])
	require.Equal(t, dataset.Quantile{Share: 0.5, Value: 3}, x.Numbers.Quantiles[4])
	sum := int64(0)
	for _, bin := range x.Numbers.Histogram {
		sum += bin.Count
	}
	require.EqualValues(t, 5, sum)
	s := p.Columns[1]
	require.EqualValues(t, 1, s.Missing)
	require.Equal(t, []dataset.ValueCount{{Value: "a", Count: 3}, {Value: "b", Count: 1}}, s.Values)
	require.Nil(t, s.Numbers)
	require.InDelta(t, 0.75, p.Columns[2].Numbers.Mean, 1e-12)
	require.EqualValues(t, 1, p.Columns[3].Missing)
	require.Len(t, p.Columns[4].Numbers.Histogram, 1)
	require.InDelta(t, 0, p.Columns[4].Numbers.Skewness, 0)
	_, err = json.Marshal(p)
	require.NoError(t, err)
	some, err := d.Profile(t.Context(), &dataset.ProfileOptions{Columns: []string{"s"}})
	require.NoError(t, err)
	require.Len(t, some.Columns, 1)
}
