package dataset_test

import (
	"encoding/json"
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
			for column, values := range tt.Columns {
				own := column
				if !tt.Header {
					n, err := strconv.Atoi(column)
					require.NoError(t, err)
					own = "Column" + strconv.Itoa(n+1)
				}
				got := read(t, d, own)
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
