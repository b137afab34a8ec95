package mlflow_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	neturl "net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/experiment"
	handler "github.com/azml-go/azml/internal/mlflow"
	"github.com/azml-go/azml/mlflow"
	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// runWith makes a run that has ended.
func runWith(t *testing.T, exp *experiment.Experiment, id string) *run.Run {
	t.Helper()
	r, err := exp.Run(t.Context(), func(context.Context, *run.Run) error { return nil }, &experiment.RunOptions{RunID: id})
	require.NoError(t, err)
	return r
}

// lived is a workspace that was worked in: nested runs, values of all kinds,
// files, models of runs and of local files, a deleted version, an archived
// experiment.
func lived(t *testing.T) *workspace.Workspace {
	t.Helper()
	ws := open(t)
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "churn", &experiment.CreateOptions{Description: "about customers", Tags: map[string]string{"team": "risk"}})
	require.NoError(t, err)
	parent, err := exp.Run(t.Context(), func(ctx context.Context, r *run.Run) error {
		for i := range 2500 {
			require.NoError(t, r.Log("loss", 1/float64(i+1), &run.LogOptions{Step: int64(i)}))
		}
		require.NoError(t, r.Log("count", 7, nil))
		require.NoError(t, r.Log("note", "a text", nil))
		require.NoError(t, r.LogList("list", []int{1, 2, 3}, nil))
		require.NoError(t, r.LogParams(ctx, map[string]any{"lr": 0.1, "long": strings.Repeat("x", 5000)}))
		for _, name := range []string{"outputs/model/weights", "outputs/ä ö+&=.txt", "outputs/100% #1?.txt", "outputs/empty"} {
			content := name
			if strings.HasSuffix(name, "empty") {
				content = ""
			}
			require.NoError(t, r.Upload(ctx, name, strings.NewReader(content), nil))
		}
		child, err := r.Child(ctx, nil)
		require.NoError(t, err)
		return errors.Join(child.Log("loss", 1.0, nil), child.Fail(ctx, errors.New("no data")))
	}, &experiment.RunOptions{RunID: "top", DisplayName: "baseline", Description: "the first", Tags: map[string]string{"a": "b"}, Properties: map[string]string{"p": "q"}})
	require.NoError(t, err)
	m, err := parent.RegisterModel(t.Context(), "churn", "outputs/model", &model.RegisterOptions{Description: "from a run", Tags: map[string]string{"x": "y"}})
	require.NoError(t, err)
	dir := t.TempDir()
	local := file(t, dir, "local.bin", "weights")
	for range 2 {
		_, err = ws.Models().Register(t.Context(), "churn", local, nil)
		require.NoError(t, err)
	}
	require.NoError(t, ws.Models().Delete(t.Context(), "churn", 2, nil))
	require.NoError(t, ws.Models().SetAlias(t.Context(), "churn", "best", 3, nil))
	_, err = m.Update(t.Context(), model.Update{Stage: model.StageProduction})
	require.NoError(t, err)
	old, err := ws.Experiments().CreateOrUpdate(t.Context(), "old", nil)
	require.NoError(t, err)
	runWith(t, old, "old-run")
	_, err = old.Archive(t.Context())
	require.NoError(t, err)
	return ws
}

func doExport(t *testing.T, ws *workspace.Workspace, url string, opts *mlflow.ExportOptions) *mlflow.Exported {
	t.Helper()
	done, err := mlflow.Export(t.Context(), ws, url, opts)
	require.NoError(t, err)
	return done
}

// TestExport exports to a server and imports from it, and compares.
func TestExport(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"azml", "mlflow"} {
		t.Run(to, func(t *testing.T) {
			t.Parallel()
			var url string
			if to == "azml" {
				url = served(t, open(t))
			} else {
				if testing.Short() {
					t.Skip("runs MLflow's server: left out in short mode")
				}
				server, stop := startServer(t, t.TempDir())
				t.Cleanup(stop)
				url = server
			}
			ws, back := lived(t), open(t)
			require.EqualValues(t, 3, doExport(t, ws, url, &mlflow.ExportOptions{DryRun: true}).Runs.Created)
			done := doExport(t, ws, url, nil)
			require.Empty(t, done.Conflicts)
			require.EqualValues(t, 2500+1+1, done.Values)
			require.EqualValues(t, 1, done.LeftOut["lists"])
			require.EqualValues(t, 1, done.LeftOut["texts that were logged as metrics"])
			require.EqualValues(t, 3, done.Runs.Created)
			for _, verify := range []bool{false, true} {
				again := doExport(t, ws, url, &mlflow.ExportOptions{Verify: verify})
				require.Empty(t, again.Conflicts)
				require.Zero(t, again.Values)
				require.Zero(t, again.Files)
				require.Zero(t, again.Runs.Created+again.Runs.Completed)
				require.EqualValues(t, 2, again.Versions.Unchanged)
			}
			require.Empty(t, doImport(t, back, url, nil).Conflicts)
			compareExported(t, ws, back, done)
		})
	}
}

// compareExported compares a workspace with what came back from where it was
// exported to.
func compareExported(t *testing.T, ws, back *workspace.Workspace, done *mlflow.Exported) {
	t.Helper()
	found := map[string]*run.Run{}
	for r, err := range back.Runs().List(t.Context(), nil) {
		require.NoError(t, err)
		found[r.Details().Tags["azml.runId"]] = r
	}
	top, was := found["top"], get(t, ws, "top")
	require.NotNil(t, top)
	require.Equal(t, numbers(2500), steps(t, top, "loss"))
	require.Equal(t, was.Details().Params, top.Details().Params)
	require.Equal(t, "baseline", top.Details().DisplayName)
	require.Equal(t, "b", top.Details().Tags["a"])
	require.Equal(t, was.Details().Ended.UnixMilli(), top.Details().Ended.UnixMilli())
	require.Equal(t, was.Details().Started.UnixMilli(), top.Details().Started.UnixMilli())
	children := 0
	for child, err := range top.Children(t.Context(), nil) {
		require.NoError(t, err)
		require.Equal(t, run.StatusFailed, child.Status())
		children++
	}
	require.Equal(t, 1, children)
	want, err := was.Files(t.Context(), "")
	require.NoError(t, err)
	have, err := top.Files(t.Context(), "")
	require.NoError(t, err)
	refused := done.LeftOut["files whose names the server refuses"]
	require.Len(t, have, len(want)-int(refused))
	require.LessOrEqual(t, refused, int64(1), "but for the one whose name has a '#'")

	for version, name := range map[int]string{1: "weights", 3: "local.bin"} {
		m, err := back.Models().Get(t.Context(), "churn", version, nil)
		require.NoError(t, err)
		files, err := m.Files(t.Context())
		require.NoError(t, err)
		require.Len(t, files, 1)
		require.Equal(t, name, files[0].Path)
	}
	best, err := back.Models().GetByAlias(t.Context(), "churn", "best", nil)
	require.NoError(t, err)
	require.Equal(t, 3, best.Version())
	first, err := back.Models().Get(t.Context(), "churn", 1, nil)
	require.NoError(t, err)
	require.Equal(t, model.StageProduction, first.Details().Stage)
	require.Equal(t, "from a run", first.Details().Description)
	old, err := back.Experiments().Get(t.Context(), "old", nil)
	require.NoError(t, err)
	require.False(t, old.Details().Archived.IsZero())
	sound(t, back)
}

// Servers hide prompts, which are registered models, from who doesn't ask for
// them.
func TestPrompts(t *testing.T) {
	t.Parallel()
	const isPrompt = `"tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]`
	ws, there, back := open(t), open(t), open(t)
	url := served(t, ws)
	post(t, url, "registered-models/create", `{"name": "churn"}`)
	post(t, url, "registered-models/create", `{"name": "greeting", `+isPrompt+`}`)
	for range 2 {
		post(t, url, "model-versions/create", `{"name": "greeting", "source": "dummy-source", `+isPrompt+`}`)
	}
	post(t, url, "registered-models/alias", `{"name": "greeting", "alias": "best", "version": "2"}`)

	to := served(t, there)
	require.EqualValues(t, 2, doExport(t, ws, to, nil).Versions.Created)
	again := doExport(t, ws, to, nil)
	require.Equal(t, mlflow.Tally{Unchanged: 2}, again.Versions)
	require.Equal(t, mlflow.Tally{Unchanged: 2}, again.Models)
	require.Empty(t, again.Conflicts)

	done := doImport(t, back, to, nil)
	require.EqualValues(t, 2, done.Models.Created)
	require.EqualValues(t, 2, done.Versions.Created)
	best, err := back.Models().GetByAlias(t.Context(), "greeting", "best", nil)
	require.NoError(t, err)
	require.Equal(t, 2, best.Version())
}

// A server that is older than prompts refuses to look for them, or finds what it
// has shown before.
func TestServersOlderThanPrompts(t *testing.T) {
	t.Parallel()
	there := open(t)
	url := served(t, there)
	post(t, url, "registered-models/create", `{"name": "churn"}`)
	post(t, url, "model-versions/create", `{"name": "churn", "source": "s3://x/y"}`)
	target, err := neturl.Parse(url)
	require.NoError(t, err)
	for name, refuses := range map[string]bool{"refuses": true, "finds all": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := httputil.NewSingleHostReverseProxy(target)
			old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				query := r.URL.Query()
				filter, _, asks := strings.Cut(query.Get("filter"), "tags.`mlflow.prompt")
				if asks && refuses {
					w.WriteHeader(http.StatusBadRequest)
					return
				}
				if asks {
					query.Set("filter", strings.TrimSuffix(filter, " AND "))
					r.URL.RawQuery = query.Encode()
				}
				proxy.ServeHTTP(w, r)
			}))
			t.Cleanup(old.Close)
			done := doImport(t, open(t), old.URL, nil)
			require.Equal(t, mlflow.Tally{Created: 1}, done.Models)
			require.Equal(t, mlflow.Tally{Created: 1}, done.Versions)
		})
	}
}

// TestExportMeetsLateRequest has the server handle, while an export goes on, a request to
// create a run that an export before it had sent when it was killed.
func TestExportMeetsLateRequest(t *testing.T) {
	t.Parallel()
	s, here, there := newHandmade(t), open(t), open(t)
	s.run(0, finished)
	doImport(t, here, s.dir, nil)
	inner, err := handler.New(workspace.Handle(there), nil)
	require.NoError(t, err)
	var late sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/runs/create") {
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			late.Do(func() {
				again := r.Clone(r.Context())
				again.Body = io.NopCloser(bytes.NewReader(body))
				inner.ServeHTTP(httptest.NewRecorder(), again)
			})
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	for _, created := range []int64{1, 0} {
		require.Equal(t, created, doExport(t, here, server.URL, nil).Runs.Created)
		found := 0
		for r, err := range there.Runs().List(t.Context(), nil) {
			require.NoError(t, err)
			require.Equal(t, run.StatusCompleted, r.Status())
			found++
		}
		require.Equal(t, 1, found)
	}
}

func TestExportIsKilled(t *testing.T) {
	t.Parallel()
	s, home, there := newHandmade(t), t.TempDir(), open(t)
	const runs, values = 6, 3000
	for n := range runs {
		s.run(n, finished)
		s.metric(n, "a", 0, values)
		s.artifact(n, "one", strings.Repeat("x", 300_000))
	}
	ws := reopen(t, home)
	doImport(t, ws, s.dir, nil)
	url := served(t, there)
	t.Logf("killed %d times", killed(t, "export", home, url))
	found := 0
	for r, err := range there.Runs().List(t.Context(), nil) {
		require.NoError(t, err)
		found++
		require.Equal(t, run.StatusCompleted, r.Status())
		require.Equal(t, numbers(values), steps(t, r, "a"))
	}
	require.Equal(t, runs, found)
	require.EqualValues(t, runs, doExport(t, ws, url, &mlflow.ExportOptions{Verify: true}).Runs.Unchanged)
}
