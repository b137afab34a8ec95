package dataset_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/workspace"
)

// packed gives what a pattern, so many times, is as gzip.
func packed(t *testing.T, pattern string, times int) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for range times {
		_, err := w.Write([]byte(pattern))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.String()
}

func parquetOf[T any](t *testing.T, rows ...T) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, parquet.Write(&b, rows))
	return b.String()
}

// readAll makes a dataset of the files and reads it to the end.
func readAll(ctx context.Context, c *dataset.Client, kind string) error {
	var d *dataset.Dataset
	var err error
	switch kind {
	case "csv":
		d, err = c.FromDelimitedFiles(ctx, at("in"), nil)
	case "jsonl":
		d, err = c.FromJSONLinesFiles(ctx, at("in"), nil)
	default:
		d, err = c.FromParquetFiles(ctx, at("in"), nil)
	}
	if err != nil {
		return err
	}
	for _, err := range d.Batches(ctx, nil) {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestBadFiles reads what is wrong: the error names the file and where in it.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	type one struct {
		A int64 `parquet:"a"`
	}
	type other struct {
		A string `parquet:"a"`
	}
	type wider struct {
		B int64 `parquet:"b"`
	}
	many := strings.Repeat("1,2\n", 300)
	good := parquetOf(t, one{1})
	for name, tt := range map[string]struct {
		kind  string
		files []string // in/1, in/2 …
		want  string
	}{
		"CSV: another number of fields": {"csv", []string{"a,b\n" + many + "1\n"}, `workspaceblobstore/in/1.csv, row 301 (line 302): it has 1 fields instead of 2`},
		"CSV: another type":             {"csv", []string{"a,b\n" + many, "a,b\n1,x\n"}, `workspaceblobstore/in/2.csv, row 1 (line 2), column "b": "x" is no long`},
		"CSV: a quote":                  {"csv", []string{"a,b\n" + many + "\"x,1\n"}, `workspaceblobstore/in/1.csv, row 301 (line 302), column "a": the quote that opens a field is not closed`},
		"CSV: no UTF-8":                 {"csv", []string{"a,b\n" + many + "\xff,1\n"}, `workspaceblobstore/in/1.csv, row 301 (line 302)`},
		"CSV: other names":              {"csv", []string{"a,b\n1,2\n", "a,c\n1,2\n"}, `workspaceblobstore/in/2.csv: invalid: its columns are not those of the dataset: column 2 is "c" instead of "b"`},
		"CSV: absurd columns":           {"csv", []string{strings.Repeat("a,", 200_000) + "\n"}, `workspaceblobstore/in/1.csv: invalid: it has 200001 columns, at most 100000`},
		"CSV: packed without end":       {"csv.gz", []string{packed(t, strings.Repeat("a", 1<<20), 80)}, `a record of more than 67108864 bytes`},
		"CSV: packed and cut off":       {"csv.gz", []string{packed(t, "a,b\n1,2\n", 100_000)[:300]}, `workspaceblobstore/in/1.csv.gz: behind line 45000: invalid: it can't be unpacked: it is damaged or cut off`},
		"JSON: no object":               {"jsonl", []string{strings.Repeat("{\"a\":1}\n", 300) + "[1]\n"}, `workspaceblobstore/in/1.jsonl, line 301: it is no JSON object`},
		"JSON: malformed":               {"jsonl", []string{strings.Repeat("{\"a\":1}\n", 300) + "{\"a\":}\n"}, `workspaceblobstore/in/1.jsonl, line 301`},
		"JSON: another type":            {"jsonl", []string{strings.Repeat("{\"a\":1}\n", 300), "{\"a\":\"x\"}\n"}, `workspaceblobstore/in/2.jsonl, line 1: column "a": it is no long`},
		"JSON: nested without end":      {"jsonl", []string{"{\"a\":" + strings.Repeat("[", 200_000) + "\n"}, `workspaceblobstore/in/1.jsonl, line 1`},
		"Parquet: text":                 {"parquet", []string{good, "a,b\n1,2\n1,2\n1,2\n"}, `workspaceblobstore/in/2.parquet: it can't be read as a Parquet file`},
		"Parquet: cut off":              {"parquet", []string{good[:len(good)/2]}, `workspaceblobstore/in/1.parquet: it can't be read as a Parquet file`},
		"Parquet: another type":         {"parquet", []string{good, parquetOf(t, other{"x"})}, `workspaceblobstore/in/2.parquet: its columns are not those of the dataset: "a" is string instead of long`},
		"Parquet: another column":       {"parquet", []string{good, parquetOf(t, wider{1})}, `workspaceblobstore/in/2.parquet: its columns are not those of the dataset: it lacks "a"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{}
			for i, text := range tt.files {
				files["in/"+string(rune('1'+i))+"."+tt.kind] = text
			}
			ws, _ := setup(t, files)
			err := readAll(t.Context(), ws.Datasets(), strings.TrimSuffix(tt.kind, ".gz"))
			require.ErrorIs(t, err, azml.ErrInvalid)
			require.ErrorContains(t, err, tt.want)
			require.Empty(t, all(t, ws.Datasets().List(t.Context(), nil)), "nothing is half registered")
		})
	}
}

// TestWideAndSparse reads lines that lack nearly all of many columns: no batch has
// room for all of them at once.
func TestWideAndSparse(t *testing.T) {
	t.Parallel()
	var head strings.Builder
	names := make([]string, 3000)
	for i := range names {
		names[i] = "column" + string(rune('a'+i%26)) + strings.Repeat("x", i/26)
	}
	head.WriteString(`{"` + strings.Join(names, `":1,"`) + `":1}` + "\n")
	ws, _ := setup(t, map[string]string{"in/1.jsonl": head.String() + strings.Repeat("{}\n", 5000), "wide/1.csv": strings.Join(names, ",") + "\n" + strings.Repeat("1,", len(names)-1) + "1\n",
		"wide/2.csv": names[0] + "\n" + strings.Repeat("1\n", 5000)})
	for kind, make := range map[string]func() (*dataset.Dataset, error){
		"JSON": func() (*dataset.Dataset, error) { return ws.Datasets().FromJSONLinesFiles(t.Context(), at("in"), nil) },
		"CSV": func() (*dataset.Dataset, error) {
			return ws.Datasets().FromDelimitedFiles(t.Context(), at("wide"), &dataset.DelimitedOptions{Header: dataset.HeaderCombine})
		},
	} {
		d := must(t)(make())
		require.Len(t, d.Columns(), len(names), kind)
		rows := 0
		for b, err := range d.Batches(t.Context(), nil) {
			require.NoError(t, err)
			rows += b.Rows
			require.LessOrEqual(t, b.Rows*len(b.Columns), 4<<20, kind)
		}
		require.Equal(t, 5001, rows, kind)
	}
}

// TestChangedMeanwhile registers and reads what vanishes, and what is no longer let
// in.
func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	ws, _ := setup(t, nil)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.csv"), []byte("a\n1\n"), 0o600))
	_, err := ws.Datastores().Register(t.Context(), "gone", datastore.Folder{Path: dir}, nil)
	require.NoError(t, err)
	c := ws.Datasets()
	d := must(t)(c.FromDelimitedFiles(t.Context(), []dataset.Path{{Datastore: "gone", Path: "*.csv"}}, nil))
	v := must(t)(d.Register(t.Context(), "v", nil))
	require.NoError(t, os.RemoveAll(dir))
	for _, err := range d.Batches(t.Context(), nil) {
		require.ErrorIs(t, err, azml.ErrNotFound)
	}
	_, err = v.Check(t.Context(), nil)
	require.ErrorIs(t, err, azml.ErrNotFound, "a folder that is gone is not one without files")
	_, err = must(t)(d.Take(1)).Register(t.Context(), "other", nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.NoError(t, ws.Datastores().Unregister(t.Context(), "gone", nil))
	for _, err := range v.Batches(t.Context(), nil) {
		require.ErrorIs(t, err, azml.ErrNotFound)
		require.ErrorContains(t, err, "gone")
	}
	require.Len(t, all(t, c.List(t.Context(), nil)), 1, "only what was whole is registered")
	credentialsExpire(t, ws)
}

func credentialsExpire(t *testing.T, ws *workspace.Workspace) {
	t.Helper()
	expired := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if expired || r.Header.Get("Authorization") != "Bearer t0ken-w0rd" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte("no: " + r.Header.Get("Authorization")))
			return
		}
		http.ServeContent(w, r, "a.csv", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), strings.NewReader("a\n1\n"))
	}))
	t.Cleanup(server.Close)
	_, err := ws.Datastores().Register(t.Context(), "web", datastore.HTTP{URL: server.URL, BearerToken: "t0ken-w0rd"}, nil)
	require.NoError(t, err)
	d := must(t)(ws.Datasets().FromDelimitedFiles(t.Context(), []dataset.Path{{Datastore: "web", Path: "a.csv"}}, nil))
	v := must(t)(d.Register(t.Context(), "web", nil))
	expired = true
	_, err = v.Check(t.Context(), nil)
	require.ErrorIs(t, err, azml.ErrDenied)
	require.NotContains(t, err.Error(), "t0ken-w0rd")
	for _, err := range v.Batches(t.Context(), nil) {
		require.ErrorIs(t, err, azml.ErrDenied)
		require.ErrorContains(t, err, "a.csv")
		require.NotContains(t, err.Error(), "t0ken-w0rd")
	}
	// The token is nowhere but in the secret store, where it is encrypted.
	root := ws.Details().Location
	require.NoError(t, filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		require.NotContains(t, string(data), "t0ken-w0rd", path)
		return err
	}))
}
