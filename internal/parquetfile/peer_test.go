package parquetfile

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/datafile"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/tabular"
)

// plain gives a value as the peer's script prints it.
func plain(t *testing.T, c *tabular.Column, row int) any {
	t.Helper()
	switch {
	case c.Null(row):
		return nil
	case c.Type == tabular.Time:
		return strconv.FormatInt(c.Ints[row], 10)
	case c.Type == tabular.Bytes:
		return hex.EncodeToString([]byte(c.Texts[row]))
	case c.Type == tabular.Int:
		return float64(c.Ints[row])
	case c.Type == tabular.Nested:
		var v any
		require.NoError(t, json.Unmarshal([]byte(c.Texts[row]), &v), c.Texts[row])
		return v
	}
	return c.Value(row)
}

// TestPeers reads what pyarrow and DuckDB have written, and compares each value
// with what pyarrow reads.
func TestPeers(t *testing.T) {
	t.Parallel()
	python := testenv.ParquetReaders(t)
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), python, "testdata/write.py", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	var want map[string]map[string][]any
	require.NoError(t, json.Unmarshal(out, &want))
	require.Len(t, want, 16)
	for name, columns := range want {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			files := []datafile.File{datafile.Bytes(name, data)}
			schema, err := Infer(t.Context(), files)
			require.NoError(t, err)
			require.Len(t, schema, len(columns))
			got := map[string][]any{}
			for part, err := range Read(t.Context(), files, schema, nil, &Options{}) {
				require.NoError(t, err)
				for i := range part.Columns {
					c := &part.Columns[i]
					for row := range part.Rows {
						got[c.Name] = append(got[c.Name], plain(t, c, row))
					}
				}
			}
			for column, values := range columns {
				require.Len(t, got[column], len(values), column)
				for i, v := range values {
					if f, isFloat := v.(float64); isFloat && got[column][i] != v {
						require.InDelta(t, f, got[column][i], 0, "%s %d", column, i)
					}
					require.Equal(t, v, got[column][i], "%s %d", column, i)
				}
			}
		})
	}
}
