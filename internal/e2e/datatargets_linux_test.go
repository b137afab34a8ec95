package e2e

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// sources are data of each kind in a workspace, of which a token is a credential.
type sources struct {
	token  string
	inputs map[string]dataset.Input
}

// newSources registers files, a table, a query, and a file behind a token.
func newSources(t *testing.T, ws *workspace.Workspace) sources {
	t.Helper()
	s := sources{token: rand.Text()}
	store, err := ws.Datastores().Default(t.Context(), nil)
	require.NoError(t, err)
	for path, text := range map[string]string{"in/a.txt": "one", "in/deep/b.txt": "two", "people.csv": "name,age\nAnne,40\nCid,7\n"} {
		_, err := store.Write(t.Context(), path, strings.NewReader(text), nil)
		require.NoError(t, err)
	}
	db := filepath.Join(t.TempDir(), "shop.db")
	c, err := sqlite3.Open(db)
	require.NoError(t, err)
	require.NoError(t, errors.Join(c.Exec("CREATE TABLE sale (id INTEGER, shop TEXT, raw BLOB, sum REAL); INSERT INTO sale VALUES (1, 'a', x'00ff', 0.5), (NULL, NULL, NULL, NULL)"), c.Close()))
	_, err = ws.Datastores().Register(t.Context(), "shop", datastore.SQLite{Path: db}, nil)
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+s.token {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		http.ServeContent(w, r, "", time.Unix(1e9, 0), strings.NewReader("behind a token"))
	}))
	t.Cleanup(server.Close)
	_, err = ws.Datastores().Register(t.Context(), "closed", datastore.HTTP{URL: server.URL, BearerToken: datastore.Secret(s.token)}, &datastore.RegisterOptions{SkipValidation: true})
	require.NoError(t, err)

	data := ws.Datasets()
	files, err := data.FromFiles(t.Context(), []dataset.Path{{Path: "in/"}}, nil)
	require.NoError(t, err)
	files, err = files.Register(t.Context(), "in", nil)
	require.NoError(t, err)
	people, err := data.FromDelimitedFiles(t.Context(), []dataset.Path{{Path: "people.csv"}}, nil)
	require.NoError(t, err)
	people, err = people.Filter("age > 10")
	require.NoError(t, err)
	sales, err := data.FromSQLQuery(t.Context(), "shop", "SELECT id, shop, raw, sum FROM sale", nil)
	require.NoError(t, err)
	closed, err := data.FromFiles(t.Context(), []dataset.Path{{Datastore: "closed", Path: "far/x.txt"}}, nil)
	require.NoError(t, err)
	s.inputs = map[string]dataset.Input{"copied": {Dataset: files, RequireUnchanged: true}, "mounted": {Dataset: files, Mode: dataset.ModeMount}, "people": {Dataset: people},
		"sales": {Dataset: sales}, "closed": {Dataset: closed}, "named": {Dataset: files, Mode: dataset.ModeDirect}, "placed": {Dataset: files, PathOnCompute: "data/here"}}
	return s
}

// useData is a script with inputs and outputs of each kind. It says what it was
// given, without the paths that differ from one target to the next.
const useData = `
cat "$copied/a.txt" "$copied/deep/b.txt" "$mounted/a.txt" "$mounted/deep/b.txt" data/here/a.txt "$closed/x.txt"; echo
cp "$people" "$grown/p.parquet"; cp "$sales" "$sold/s.parquet"; echo "$named $AZUREML_DATASET_FILE_OUTPUTS"
test "$1" = "$copied" && test "$2" = "$out" && test "$AZUREML_DATAREFERENCE_copied" = "$copied"
mkdir "$out/sub"; echo made > "$out/a"; echo deep > "$out/sub/b"; echo left > "$out/c.tmp"
printf 'x,y\n1,2\n' > "$live/t.csv"; echo gone > "$live/gone"; sleep 0.2; rm "$live/gone"
`

// TestDataOnEveryTarget runs one script with inputs and outputs of each kind on all
// targets: what it is given, what it makes, and what is noted of both is the same as
// on this machine.
func TestDataOnEveryTarget(t *testing.T) {
	t.Parallel()
	type result struct {
		Said    string
		Inputs  []run.Input
		Outputs []run.Output
		Made    map[string]string
		Tables  map[string][]map[string]any
	}
	use := func(t *testing.T, on target) result {
		ws, p := onTarget(t, on)
		s := newSources(t, ws)
		r := on.begin(t, ws, useData, func(c *experiment.ScriptRunConfig) {
			c.Command = append(c.Command, "sh", "DatasetConsumptionConfig:copied", "DatasetOutputConfig:out")
			c.Inputs = s.inputs
			c.Outputs = map[string]dataset.Output{"out": {Register: "out", Globs: []string{"a", "**/b"}, Tags: map[string]string{"by": "run"}},
				"grown": {Register: "grown", Parquet: &dataset.ParquetOptions{}}, "sold": {Register: "sold", Parquet: &dataset.ParquetOptions{}},
				"live": {Mode: dataset.ModeMount, Register: "live", Delimited: &dataset.DelimitedOptions{}}}
		})
		err := r.Wait(t.Context(), nil)
		require.NoError(t, err, "%s\n%s", logOf(t, r, "system_logs/prepare.txt"), outputOf(t, r))
		got := result{Said: outputOf(t, r), Inputs: r.Inputs(), Outputs: r.Outputs(), Made: map[string]string{}, Tables: map[string][]map[string]any{}}
		log := logOf(t, r, "system_logs/prepare.txt")
		for i := range got.Inputs { // what differs from one workspace, or target, to the next
			in := &got.Inputs[i]
			if in.Name == "mounted" && in.Mode == dataset.ModeDownload {
				require.Contains(t, log, "input mounted: it is downloaded instead of mounted")
				in.Mode = dataset.ModeMount
			}
			require.Equal(t, in.Name == "sales", in.Fingerprint == "", in.Name)
			in.Fingerprint, in.MLflowDigest = "", ""
		}
		for i := range got.Outputs {
			out := &got.Outputs[i]
			if out.Name == "live" && out.Mode == dataset.ModeUpload {
				require.Contains(t, log, "output live: it is uploaded in the end instead of mounted")
				out.Mode = dataset.ModeMount
			}
			require.NotEmpty(t, out.Fingerprint)
			out.Fingerprint, out.Bytes = "", 0 // of Parquet, in which is who has written it
			out.Target.Path = strings.ReplaceAll(out.Target.Path, r.ID(), "RUN")
		}
		states, err := r.CheckInputs(t.Context(), nil)
		require.NoError(t, err)
		for _, state := range states {
			require.False(t, state.Changed, state.Name)
			require.NoError(t, state.Problem, state.Name)
		}
		out, err := ws.Datasets().Get(t.Context(), "out", 1, nil)
		require.NoError(t, err)
		require.Equal(t, r.ID(), out.Details().RunID)
		require.Equal(t, map[string]string{"by": "run"}, out.Details().Tags)
		dir := t.TempDir()
		paths, err := out.Download(t.Context(), dir, nil)
		require.NoError(t, err)
		for _, path := range paths {
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			rel, err := filepath.Rel(dir, path)
			require.NoError(t, err)
			got.Made[rel] = string(data)
		}
		for _, name := range []string{"live", "grown", "sold"} {
			table, err := ws.Datasets().Get(t.Context(), name, 1, nil)
			require.NoError(t, err)
			for b, err := range table.Batches(t.Context(), nil) {
				require.NoError(t, err)
				for i := range b.Rows {
					row := map[string]any{}
					for c := range b.Columns {
						row[b.Columns[c].Name] = b.Columns[c].Value(i)
					}
					got.Tables[name] = append(got.Tables[name], row)
				}
			}
		}
		consumers := 0
		for c, err := range s.inputs["copied"].Dataset.Consumers(t.Context(), nil) {
			require.NoError(t, err)
			require.Equal(t, r.ID(), c.RunID)
			consumers++
		}
		require.Equal(t, 4, consumers, "copied, mounted, named, placed")
		requireNowhere(t, s.token, p.Dir, p.Cache)
		clean(t, ws)
		return got
	}
	want := use(t, target{name: "here"})
	require.Equal(t, map[string]string{"a": "made\n", "sub/b": "deep\n"}, want.Made)
	require.Equal(t, map[string][]map[string]any{
		"live":  {{"x": int64(1), "y": int64(2)}},
		"grown": {{"name": "Anne", "age": int64(40)}},
		"sold":  {{"id": int64(1), "shop": "a", "raw": "\x00\xff", "sum": 0.5}, {"id": nil, "shop": nil, "raw": nil, "sum": nil}},
	}, want.Tables)
	require.True(t, strings.HasPrefix(want.Said, "onetwoonetwoonebehind a token\n"), want.Said)
	onEach(t, func(t *testing.T, on target) { require.Equal(t, want, use(t, on)) })
}

// requireNowhere looks for a credential in all files below the folders.
func requireNowhere(t *testing.T, secret string, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		require.NoError(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			require.NotContains(t, string(data), secret, path)
			return err
		}))
	}
}
