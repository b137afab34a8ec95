package dataset_test

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/internal/testenv"
)

// TestPandas reads the tables that scikit-learn ships, and texts in several
// encodings, and compares each value with what pandas reads.
func TestPandas(t *testing.T) {
	t.Parallel()
	python := testenv.MLflow(t)
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), python, "testdata/tables.py", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	var want map[string]struct {
		Separator, Encoding string
		Header              bool
		Columns             map[string][]any
		Profile             map[string]pandasProfile
	}
	require.NoError(t, json.Unmarshal(out, &want))
	require.Greater(t, len(want), 10)
	files := map[string]string{}
	for name := range want {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		files[name] = string(data)
	}
	ws, _ := setup(t, files)
	for name, tt := range want {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := &dataset.DelimitedOptions{Separator: tt.Separator[0], TableOptions: dataset.TableOptions{Encoding: tt.Encoding}}
			if !tt.Header {
				opts.Header = dataset.HeaderNone
			}
			d := must(t)(ws.Datasets().FromDelimitedFiles(t.Context(), at(name), opts))
			require.Len(t, d.Columns(), len(tt.Columns))
			own := func(column string) string {
				if tt.Header {
					return column
				}
				n, err := strconv.Atoi(column)
				require.NoError(t, err)
				return "Column" + strconv.Itoa(n+1)
			}
			for column, want := range tt.Profile {
				want.compare(t, d, own(column))
			}
			for column, values := range tt.Columns {
				got := read(t, d, own(column))
				require.Len(t, got, len(values), column)
				for i, v := range values {
					require.Equal(t, v, got[i], "column %s, row %d", column, i+1)
				}
			}
		})
	}
}

// read reads a column as JSON has its values.
func read(t *testing.T, d *dataset.Dataset, name string) (out []any) {
	t.Helper()
	for _, v := range column(t, d, name) {
		if n, isInt := v.(int64); isInt {
			v = float64(n)
		}
		out = append(out, v)
	}
	return out
}

// pandasProfile is what pandas says of a column of numbers.
type pandasProfile struct {
	Count                                int64
	Mean, Std, Var, Skew, Kurt, Min, Max float64
	Quantiles                            []float64
}

// compare looks that ours is the same, but for the last digits: the sums are done
// in another order.
func (want pandasProfile) compare(t *testing.T, d *dataset.Dataset, column string) {
	t.Helper()
	p, err := d.Profile(t.Context(), &dataset.ProfileOptions{Columns: []string{column}})
	require.NoError(t, err)
	got := p.Columns[0]
	require.Equal(t, want.Count, got.Count, column)
	require.NotNil(t, got.Numbers, column)
	n := got.Numbers
	for what, pair := range map[string][2]float64{"mean": {want.Mean, n.Mean}, "standard deviation": {want.Std, n.StandardDeviation}, "variance": {want.Var, n.Variance},
		"skewness": {want.Skew, n.Skewness}, "kurtosis": {want.Kurt, n.Kurtosis}} {
		require.InDelta(t, pair[0], pair[1], 1e-9*max(1, math.Abs(pair[0])), "%s of %s", what, column)
	}
	for i, q := range want.Quantiles {
		require.InDelta(t, q, n.Quantiles[i].Value, 1e-12*max(1, math.Abs(q)), "quantile %v of %s", n.Quantiles[i].Share, column)
	}
	require.InDelta(t, want.Min, n.Histogram[0].Low, 0, column)
	require.InDelta(t, want.Max, n.Histogram[len(n.Histogram)-1].High, 0, column)
}
