package mlflow_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/mlflow"
	"github.com/azml-go/azml/run"
)

// schema is what MLflow 1.0 made of a database, before experiments had tags and
// values could be NaN.
const schema = `
CREATE TABLE experiments (experiment_id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(256) NOT NULL UNIQUE, artifact_location VARCHAR(256), lifecycle_stage VARCHAR(32));
CREATE TABLE runs (run_uuid VARCHAR(32) NOT NULL PRIMARY KEY, name VARCHAR(250), source_type VARCHAR(20), source_name VARCHAR(500), entry_point_name VARCHAR(50),
	user_id VARCHAR(256), status VARCHAR(20), start_time BIGINT, end_time BIGINT, source_version VARCHAR(50), lifecycle_stage VARCHAR(20), artifact_uri VARCHAR(200), experiment_id INTEGER);
CREATE TABLE metrics (key VARCHAR(250) NOT NULL, value FLOAT NOT NULL, timestamp BIGINT NOT NULL, run_uuid VARCHAR(32) NOT NULL, step BIGINT NOT NULL DEFAULT 0);
CREATE TABLE params (key VARCHAR(250) NOT NULL, value VARCHAR(250) NOT NULL, run_uuid VARCHAR(32) NOT NULL);
CREATE TABLE tags (key VARCHAR(250) NOT NULL, value VARCHAR(250), run_uuid VARCHAR(32) NOT NULL);
INSERT INTO experiments VALUES (0, 'Default', 'mlruns/0', 'active');
`

// oldDatabase makes a database of MLflow 1.0 with one run whose artifacts are at
// the URI.
func oldDatabase(t *testing.T, artifacts string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mlflow.db")
	c, err := sqlite3.Open(path)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.Exec(schema))
	quoted := strings.ReplaceAll(artifacts, "'", "''")
	require.NoError(t, c.Exec("INSERT INTO runs VALUES ('"+runID(0)+"', '', 'LOCAL', '', '', 'ann', 'FINISHED', 1500000000000, 1500000001000, '', 'active', '"+quoted+"', 0);"+
		"INSERT INTO metrics VALUES ('m', 0.5, 1500000000500, '"+runID(0)+"', 3), ('m', 1.7976931348623157e308, 1500000000600, '"+runID(0)+"', 4)"))
	return path
}

func TestOldDatabase(t *testing.T) {
	t.Parallel()
	ws, path := open(t), oldDatabase(t, "mlruns/0/"+runID(0)+"/artifacts")
	file(t, filepath.Dir(path), "mlruns/0/"+runID(0)+"/artifacts/a.txt", "one")
	done := doImport(t, ws, "sqlite:///"+path, nil)
	require.EqualValues(t, 2, done.Values)
	require.EqualValues(t, 1, done.Files)
	require.Equal(t, []int{3, 4}, steps(t, get(t, ws, runID(0)), "m"))
	require.Empty(t, done.LeftOut)
	sound(t, ws)
}

// What is no store of MLflow, or a damaged one, is told in one clear error.
func TestWhatIsNoStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>hello</html>")) }))
	t.Cleanup(page.Close)
	closed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ann" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(closed.Close)
	moved := httptest.NewServer(http.RedirectHandler("https://elsewhere.test/login?back=1", http.StatusFound))
	t.Cleanup(moved.Close)

	whole, err := os.ReadFile(oldDatabase(t, ""))
	require.NoError(t, err)
	torn := append([]byte{}, whole...)
	for i := 4096; i < len(torn); i++ {
		torn[i] ^= 0x5a
	}
	other := filepath.Join(dir, "other.db")
	c, err := sqlite3.Open(other)
	require.NoError(t, err)
	require.NoError(t, c.Exec("CREATE TABLE experiments (id INTEGER, name TEXT)"))
	require.NoError(t, c.Close())

	for name, c := range map[string]struct {
		uri   string
		class error
		says  string
	}{
		"nothing there":         {filepath.Join(dir, "nope"), azml.ErrNotFound, "nope"},
		"no database there":     {"sqlite:///" + filepath.Join(dir, "nope.db"), azml.ErrNotFound, "nope.db"},
		"a text file":           {file(t, dir, "text", strings.Repeat("hello ", 1000)), azml.ErrInvalid, "no SQLite database"},
		"an empty file":         {file(t, dir, "empty", ""), azml.ErrInvalid, "no MLflow database"},
		"another database":      {other, azml.ErrInvalid, "no MLflow database"},
		"half a database":       {file(t, dir, "half.db", string(whole[:len(whole)/2])), azml.ErrDamaged, "damaged"},
		"a damaged database":    {file(t, dir, "torn.db", string(torn)), azml.ErrDamaged, "damaged"},
		"a folder of others":    {filepath.Dir(file(t, dir, "others/x/y.txt", "")), azml.ErrInvalid, "no file store"},
		"a folder as database":  {"sqlite:///" + dir, azml.ErrInvalid, "no database file"},
		"a page":                {page.URL, azml.ErrInvalid, "is this the URL of an MLflow server?"},
		"a server without us":   {closed.URL, azml.ErrDenied, "401"},
		"a server that sends":   {moved.URL, azml.ErrInvalid, "https://elsewhere.test/login"},
		"another kind":          {"postgresql://host/db", azml.ErrUnsupported, "mlflow server"},
		"a URL without a host":  {"http:///x", azml.ErrInvalid, "http://host:5000"},
		"a broken file URI":     {"file:///%zz", azml.ErrInvalid, "file URI"},
		"a server that is gone": {"http://127.0.0.1:1", azml.ErrUnavailable, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := mlflow.Import(t.Context(), open(t), c.uri, nil)
			require.ErrorIs(t, err, c.class)
			require.ErrorContains(t, err, c.says)
		})
	}
	_, err = mlflow.Import(t.Context(), open(t), closed.URL, &mlflow.ImportOptions{Login: mlflow.Login{User: "ann", Password: "secret"}})
	require.NoError(t, err)
	_, err = mlflow.Import(t.Context(), open(t), strings.Replace(closed.URL, "//", "//ann:wrong@", 1), nil)
	require.ErrorIs(t, err, azml.ErrDenied)
	require.NotContains(t, err.Error(), "wrong")
}

func TestDamagedFolder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ path, content, says string }{
		"experiment": {experimentID + "/meta.yaml", "name: [", "meta.yaml"},
		"run":        {experimentID + "/" + runID(0) + "/meta.yaml", "\t", "meta.yaml"},
		"value":      {experimentID + "/" + runID(0) + "/metrics/m", "1600000001000 0.5 1\nnonsense 1 2\n", "line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ws := newHandmade(t), open(t)
			s.run(0, finished)
			s.metric(0, "m", 0, 1)
			s.write(c.path, c.content)
			_, err := mlflow.Import(t.Context(), ws, s.dir, nil)
			require.ErrorIs(t, err, azml.ErrDamaged)
			require.ErrorContains(t, err, c.says)
			if name == "value" {
				r := get(t, ws, runID(0))
				require.Equal(t, "Failed", string(r.Status()), "what is there shows that it isn't whole")
				s.write(c.path, "1600000001000 0.5 1\n")
				doImport(t, ws, s.dir, nil)
				require.NoError(t, r.Refresh(t.Context()))
				require.Equal(t, "Completed", string(r.Status()))
				require.Equal(t, []int{1}, steps(t, r, "m"))
			}
		})
	}
}

// Whatever a store says of where artifacts are, nothing is read from outside of
// its folder and the one that the user names.
func TestArtifactsOutside(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		uri  func(outside string) string
		left string
	}{
		"absolute": {func(o string) string { return o }, "outside"},
		"file":     {func(o string) string { return "file://" + o }, "outside"},
		"climbing": {func(o string) string { return strings.Repeat("../", 30) + o[1:] }, "outside"},
		"proxied":  {func(o string) string { return "mlflow-artifacts:/" + strings.Repeat("../", 30) + o[1:] }, "outside"},
		"escaped":  {func(o string) string { return "file:///x/%2e%2e" + o }, "outside"},
		"gone":     {func(string) string { return "/no/such/folder" }, "not here"},
		"s3":       {func(string) string { return "s3://bucket/x" }, "artifacts on s3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outside := filepath.Dir(file(t, t.TempDir(), "secret.txt", "secret"))
			ws := open(t)
			done := doImport(t, ws, oldDatabase(t, c.uri(outside)), nil)
			require.Zero(t, done.Files)
			require.Len(t, done.LeftOut, 1)
			for reason := range done.LeftOut {
				require.Contains(t, reason, c.left)
			}
			files, err := get(t, ws, runID(0)).Files(t.Context(), "")
			require.NoError(t, err)
			require.Empty(t, files)
		})
	}
}

// A store that was copied from elsewhere finds its artifacts below the folder
// that the user names.
func TestArtifactsThatWereMoved(t *testing.T) {
	t.Parallel()
	kept := t.TempDir()
	file(t, kept, "0/"+runID(0)+"/artifacts/deep/a.txt", "one")
	ws := open(t)
	done := doImport(t, ws, oldDatabase(t, "/elsewhere/mlruns/0/"+runID(0)+"/artifacts"), &mlflow.ImportOptions{Artifacts: kept})
	require.EqualValues(t, 1, done.Files)
	require.Empty(t, done.LeftOut)
	_, err := mlflow.Import(t.Context(), ws, oldDatabase(t, ""), &mlflow.ImportOptions{Artifacts: filepath.Join(kept, "nope")})
	require.ErrorIs(t, err, azml.ErrNotFound)
}

func TestLinksAmongArtifacts(t *testing.T) {
	t.Parallel()
	s, ws := newHandmade(t), open(t)
	s.run(0, finished)
	s.artifact(0, "real/a.txt", "one")
	outside := file(t, t.TempDir(), "secret.txt", "secret")
	at := filepath.Join(s.dir, filepath.FromSlash(s.of(0, "artifacts")))
	for name, target := range map[string]string{"inside": "real/a.txt", "outside": outside, "folder": "real", "up": "../../../../../../etc/passwd", "nowhere": "nothing"} {
		require.NoError(t, os.Symlink(target, filepath.Join(at, name)))
	}
	require.NoError(t, os.WriteFile(filepath.Join(at, `back\slash`), nil, 0o600))
	done := doImport(t, ws, s.dir, nil)
	require.EqualValues(t, 2, done.Files)
	var left int64
	for _, n := range done.LeftOut {
		left += n
	}
	require.EqualValues(t, 5, left)
	files, err := get(t, ws, runID(0)).Files(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, files, 2)
	require.Equal(t, "inside", files[0].Path)
}

// What is left out is named, and told again by each import after.
func TestWhatIsLeftOutIsNamed(t *testing.T) {
	t.Parallel()
	s, ws := newHandmade(t), open(t)
	s.run(0, finished)
	s.metric(0, "fine", 0, 2)
	s.write(s.of(0, "metrics/odd"), "1600000001000 1 0\n9000000000000000 1 1\n")
	s.write(s.of(0, "params/long"), strings.Repeat("x", 7000))
	s.artifact(0, "a", "one")
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, filepath.FromSlash(s.of(0, "artifacts")), `back\slash`), nil, 0o600))
	const values, ends, paths = "values at times that can't be stored", "ends of values of parameters that are too long", "artifacts whose paths can't be stored"
	left := map[string]int64{values: 1, ends: 1, paths: 1}
	named := map[string][]string{values: {runID(0) + "/odd"}, ends: {runID(0) + "/long"}, paths: {runID(0) + `/back\slash`}}
	done := doImport(t, ws, s.dir, nil)
	require.Equal(t, left, done.LeftOut)
	require.Equal(t, named, done.LeftOutNames)

	again := doImport(t, ws, s.dir, nil)
	require.Equal(t, mlflow.Tally{Unchanged: 1}, again.Runs)
	require.Equal(t, left, again.LeftOut)
	require.Equal(t, map[string][]string{values: {runID(0)}, ends: {runID(0)}, paths: {runID(0)}}, again.LeftOutNames)
	verified := doImport(t, ws, s.dir, &mlflow.ImportOptions{Verify: true})
	require.Equal(t, mlflow.Tally{Unchanged: 1}, verified.Runs, "nothing was added")
	require.Equal(t, left, verified.LeftOut)
	require.Equal(t, named, verified.LeftOutNames)
}

// A server that answers with what doesn't fit fails the import, and nothing that
// it names is opened or grows without bound.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	const one = `{"experiments": [{"experiment_id": "1", "name": "e", "lifecycle_stage": "active"}]}`
	runOf := func(id string) string {
		return `{"runs": [{"info": {"run_id": "` + id + `", "experiment_id": "1", "status": "FINISHED", "start_time": 1, "end_time": 2, "artifact_uri": "/etc"}}]}`
	}
	for name, c := range map[string]struct {
		answers map[string]string // by the end of the path
		class   error             // nil when it is imported
		files   int64
	}{
		"no numbers":        {map[string]string{"experiments/search": one, "runs/search": `{"runs": [{"info": {"start_time": "soon"}}]}`}, azml.ErrInvalid, 0},
		"an ID like a path": {map[string]string{"experiments/search": one, "runs/search": runOf("../../x")}, nil, 0},
		"a local URI":       {map[string]string{"experiments/search": one, "runs/search": runOf(runID(0)), "artifacts/list": `{"files": []}`}, nil, 0},
		"a path that climbs": {map[string]string{"experiments/search": one, "runs/search": runOf(runID(0)),
			"artifacts/list": `{"files": [{"path": "../../x", "file_size": 2}, {"path": "a", "file_size": "2"}]}`, "get-artifact": "{}"}, nil, 1},
		"a folder in itself": {map[string]string{"experiments/search": one, "runs/search": runOf(runID(0)),
			"artifacts/list": `{"files": [{"path": "a", "is_dir": true}]}`}, azml.ErrUnsupported, 0},
		"less than it says": {map[string]string{"experiments/search": one, "runs/search": runOf(runID(0)),
			"artifacts/list": `{"files": [{"path": "a", "file_size": 5}]}`, "get-artifact": "{}"}, azml.ErrUnavailable, 0},
		"more than it says": {map[string]string{"experiments/search": one, "runs/search": runOf(runID(0)),
			"artifacts/list": `{"files": [{"path": "a", "file_size": 1}]}`, "get-artifact": "{}"}, azml.ErrUnavailable, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for end, answer := range c.answers {
					if strings.HasSuffix(r.URL.Path, end) {
						_, _ = w.Write([]byte(answer))
						return
					}
				}
				w.WriteHeader(http.StatusNotFound)
			}))
			t.Cleanup(server.Close)
			ws := open(t)
			done, err := mlflow.Import(t.Context(), ws, server.URL, nil)
			if c.class != nil {
				require.ErrorIs(t, err, c.class)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.files, done.Files)
			sound(t, ws)
		})
	}
}

func TestImportEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s, ws := newHandmade(t), open(t)
	s.run(0, finished)
	s.metric(0, "m", 0, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	opts := &mlflow.ImportOptions{Progress: func(mlflow.Imported) { cancel() }}
	_, err := mlflow.Import(ctx, ws, s.dir, opts)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, doImport(t, ws, s.dir, nil).Conflicts)
	require.Equal(t, numbers(1000), steps(t, get(t, ws, runID(0)), "m"))
}

// Times that can't be stored, such as nanoseconds for milliseconds, are left
// out, and nothing else is.
func TestTimesThatCantBeStored(t *testing.T) {
	t.Parallel()
	s, ws := newHandmade(t), open(t)
	s.run(0, finished)
	s.metric(0, "m", 0, 3)
	s.run(1, finished)
	const odd = "1700000000000000000"
	s.write(s.of(0, "meta.yaml"), "run_id: "+runID(0)+"\nstatus: 3\nstart_time: "+odd+"\nend_time: -"+odd+"\nlifecycle_stage: deleted\ndeleted_time: "+odd+"\n")
	s.write("43/meta.yaml", "experiment_id: '43'\nname: gone\ncreation_time: "+odd+"\nlast_update_time: "+odd+"\nlifecycle_stage: deleted\n")
	s.write(experimentID+"/models/m-1/meta.yaml", "name: net\nstatus: 2\ncreation_timestamp: "+odd+"\nlifecycle_stage: active\n")
	s.write("models/churn/meta.yaml", "name: churn\ncreation_timestamp: "+odd+"\n")
	s.write("models/churn/version-1/meta.yaml", "name: churn\nversion: 1\nsource: s3://x/y\ncreation_timestamp: "+odd+"\n")

	done := doImport(t, ws, s.dir, nil)
	require.EqualValues(t, 2, done.LeftOut["times of experiments that can't be stored"])
	require.EqualValues(t, 3, done.LeftOut["times of runs that can't be stored"])
	require.EqualValues(t, 1, done.LeftOut["times of logged models that can't be stored"])
	require.EqualValues(t, 1, done.LeftOut["times of registered models that can't be stored"])
	require.EqualValues(t, 1, done.LeftOut["times of versions that can't be stored"])
	require.EqualValues(t, 2, done.Runs.Created)
	require.EqualValues(t, 1, done.LoggedModels.Created)
	require.EqualValues(t, 1, done.Versions.Created)
	r := get(t, ws, runID(0))
	require.Equal(t, run.StatusCompleted, r.Status())
	require.False(t, r.Details().Deleted.IsZero())
	require.Equal(t, numbers(3), steps(t, r, "m"))
	gone, err := ws.Experiments().Get(t.Context(), "gone", nil)
	require.NoError(t, err)
	require.False(t, gone.Details().Archived.IsZero())
	require.EqualValues(t, 2, doImport(t, ws, s.dir, nil).Runs.Unchanged)
	sound(t, ws)
}
