package mirror_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/mirror"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// TestRunThatGoesOn is copied as far as it is, and nobody ends the copy.
func TestRunThatGoesOn(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	here := memory.NewObjects()
	cloud, laptop := created(t, "cloud", here), created(t, "laptop", memory.NewObjects())
	e, err := laptop.Experiments().CreateOrUpdate(ctx, "churn", nil)
	require.NoError(t, err)
	r, err := e.StartLogging(ctx, &experiment.RunOptions{RunID: "live"})
	require.NoError(t, err)
	points := func() int64 {
		copied, err := cloud.Runs().Get(ctx, "live", nil)
		require.NoError(t, err)
		sums, err := copied.Summaries(ctx)
		require.NoError(t, err)
		return sums["loss"].Count
	}
	for i := range 4 {
		require.NoError(t, r.Log("loss", float64(i), nil))
		require.NoError(t, r.Flush(ctx))
		clean(t, cloud, laptop)
		require.EqualValues(t, i+1, points())
	}
	copied, err := cloud.Runs().Get(ctx, "live", nil)
	require.NoError(t, err)
	require.Equal(t, run.StatusRunning, copied.Status())
	require.ErrorIs(t, copied.Cancel(ctx, nil), azml.ErrConflict)
	h := workspace.Handle(cloud)
	stored, err := history.Get(ctx, h, "live")
	require.NoError(t, err)
	require.Equal(t, laptop.ID(), stored.Value.Owner.Workspace)

	// A tag that was set on the copy goes home, and the run goes on there.
	tag(t, cloud, "live", "seen")
	clean(t, laptop, cloud)
	require.NoError(t, r.Log("loss", 4.0, nil))
	require.NoError(t, r.Complete(ctx))
	require.Equal(t, "seen", tagOf(t, laptop, "live"))
	clean(t, cloud, laptop)
	require.EqualValues(t, 5, points())
	copied, err = cloud.Runs().Get(ctx, "live", nil)
	require.NoError(t, err)
	require.Equal(t, run.StatusCompleted, copied.Status())
	require.Equal(t, "seen", copied.Details().Tags["v"])

	// What goes on is never overruled by what another workspace says of it.
	second, err := e.StartLogging(ctx, &experiment.RunOptions{RunID: "second"})
	require.NoError(t, err)
	clean(t, cloud, laptop)
	tag(t, cloud, "second", "cloud")
	tag(t, laptop, "second", "laptop")
	report := synced(t, laptop, cloud, &mirror.Options{Resolve: mirror.PreferSource})
	require.Len(t, report.Open(), 1)
	require.NoError(t, second.Complete(ctx))
	// A copy may be deleted though it looks alive.
	third, err := e.StartLogging(ctx, &experiment.RunOptions{RunID: "third"})
	require.NoError(t, err)
	synced(t, cloud, laptop, nil)
	require.NoError(t, cloud.Runs().Delete(ctx, "third", nil))
	require.NoError(t, third.Complete(ctx))
	require.Contains(t, synced(t, cloud, laptop, nil).Kept, mirror.Kept{Kind: "run", Name: "third", DeletedIn: "cloud"})
}

// TestFilesOfBothSides are put together, unless they are of one path.
func TestFilesOfBothSides(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	cloud, laptop := pair(t)
	e, err := laptop.Experiments().CreateOrUpdate(ctx, "churn", nil)
	require.NoError(t, err)
	home, err := e.StartLogging(ctx, &experiment.RunOptions{RunID: "live"})
	require.NoError(t, err)
	require.NoError(t, home.Upload(ctx, "common.txt", strings.NewReader("x"), nil))
	clean(t, cloud, laptop)
	add := func(h core.Handle, path, text string) {
		stored, err := history.Get(ctx, h, "live")
		require.NoError(t, err)
		_, err = history.StoreArtifact(ctx, h, stored.Value, path, []byte(text))
		require.NoError(t, err)
	}
	add(workspace.Handle(cloud), "cloud.txt", "c")
	add(workspace.Handle(laptop), "laptop.txt", "l")
	clean(t, cloud, laptop)
	clean(t, laptop, cloud)
	for _, ws := range []*workspace.Workspace{cloud, laptop} {
		stored, err := history.Get(ctx, workspace.Handle(ws), "live")
		require.NoError(t, err)
		names, err := history.FileNames(ctx, workspace.Handle(ws), stored.Value)
		require.NoError(t, err)
		require.Equal(t, []string{"cloud.txt", "common.txt", "laptop.txt"}, names)
	}
	add(workspace.Handle(cloud), "same.txt", "c")
	add(workspace.Handle(laptop), "same.txt", "l")
	report := synced(t, cloud, laptop, nil)
	require.Len(t, report.Open(), 1)
	require.Equal(t, "files of run", report.Open()[0].Kind)
	require.NoError(t, home.Complete(ctx))
	sound(t, cloud)
	report = synced(t, cloud, laptop, &mirror.Options{Resolve: mirror.PreferSource})
	require.Empty(t, report.Open())
	copied, err := cloud.Runs().Get(ctx, "live", nil)
	require.NoError(t, err)
	content, err := copied.Open(ctx, "same.txt")
	require.NoError(t, err)
	defer content.Close()
	text := make([]byte, 1)
	_, err = content.Read(text)
	require.NoError(t, err)
	require.Equal(t, "l", string(text))
	sound(t, cloud)
}

// TestLogsGrow: only what is new of a log is appended, and one that says something
// else is left.
func TestLogsGrow(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	cloud, laptop := pair(t)
	e, err := laptop.Experiments().CreateOrUpdate(ctx, "churn", nil)
	require.NoError(t, err)
	_, err = e.StartLogging(ctx, &experiment.RunOptions{RunID: "live"})
	require.NoError(t, err)
	stored, err := history.Get(ctx, workspace.Handle(laptop), "live")
	require.NoError(t, err)
	key := history.LogKey(stored.Value, "user_logs/std_log.txt")
	write := func(ws *workspace.Workspace, text string) {
		w, err := history.NewLogWriter(ctx, workspace.Handle(ws), key)
		require.NoError(t, err)
		_, err = w.Write([]byte(text))
		require.NoError(t, err)
		require.NoError(t, w.Close(ctx))
	}
	for range 3 {
		write(laptop, "a line\n")
		require.EqualValues(t, 7, clean(t, cloud, laptop).LogBytes)
	}
	data, _, err := workspace.Handle(cloud).Read(ctx, key)
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("a line\n", 3), string(data))
	write(cloud, "another\n")
	write(laptop, "one\n")
	report := synced(t, cloud, laptop, nil)
	require.Equal(t, "log of run", report.Open()[0].Kind)
}

// logModel logs a model with the files of a run r1 that has trained it, and one metric.
func logModel(t *testing.T, ws *workspace.Workspace, id string) (all *files.Manifest) {
	t.Helper()
	ctx, h := t.Context(), workspace.Handle(ws)
	trained(t, ws, "churn", "r1")
	_, err := history.CreateLoggedModel(ctx, h, record.LoggedModel{ID: id, Experiment: "churn", RunID: "r1", Status: record.LoggedModelReady})
	require.NoError(t, err)
	of, err := history.Get(ctx, h, "r1")
	require.NoError(t, err)
	all, err = history.Files(ctx, h, of.Value, "")
	require.NoError(t, err)
	require.NoError(t, history.LoggedModelFiles(id).Add(ctx, h, all, false))
	log, err := history.ModelMetrics(h, id)
	require.NoError(t, err)
	w, err := log.NewWriter()
	require.NoError(t, err)
	require.NoError(t, w.Log(history.ModelSeries{Metric: "auc", RunID: "r1"}.Name(), 0.9, 0, time.Time{}))
	require.NoError(t, w.Close(ctx))
	return all
}

// requireLogged says that the model is there with these files and its metric.
func requireLogged(t *testing.T, ws *workspace.Workspace, id string, want *files.Manifest) {
	t.Helper()
	sound(t, ws)
	ctx, h := t.Context(), workspace.Handle(ws)
	_, err := history.LoggedModel(ctx, h, id)
	require.NoError(t, err)
	found, err := history.LoggedModelFiles(id).Files(ctx, h, "")
	require.NoError(t, err)
	require.Equal(t, want, found)
	log, err := history.ModelMetrics(h, id)
	require.NoError(t, err)
	points := 0
	for _, err := range log.Read(ctx, nil) {
		require.NoError(t, err)
		points++
	}
	require.Equal(t, 1, points)
}

const loggedID = "m-0123456789abcdef0123456789abcdef"

// TestLoggedModels come with their files and metrics, and their deletion when that
// is asked for.
func TestLoggedModels(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	cloud, laptop := pair(t)
	h, id := workspace.Handle(laptop), loggedID
	all := logModel(t, laptop, id)
	require.Equal(t, 1, synced(t, cloud, laptop, &mirror.Options{Runs: []string{"r1"}}).LoggedModels.Created)
	requireLogged(t, cloud, id, all)
	require.NoError(t, history.DeleteLoggedModel(ctx, h, id))
	require.Contains(t, synced(t, cloud, laptop, nil).Kept, mirror.Kept{Kind: "logged model", Name: id, DeletedIn: "laptop"})
	require.Equal(t, 1, synced(t, cloud, laptop, &mirror.Options{Delete: true}).LoggedModels.Deleted)
	sound(t, cloud)
}

// TestLoggedModelDeletedInTheDestination and changed in the source comes again with all that
// it has, when that is decided for the source, and without any of it else.
func TestLoggedModelDeletedInTheDestination(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	cloud, laptop := pair(t)
	all := logModel(t, laptop, loggedID)
	clean(t, cloud, laptop)
	c := workspace.Handle(cloud)
	require.NoError(t, history.DeleteLoggedModel(ctx, c, loggedID))
	require.NoError(t, history.SweepLoggedModels(ctx, c, c.Now().Add(time.Hour)))
	_, err := history.UpdateLoggedModel(ctx, workspace.Handle(laptop), loggedID, core.Note{Op: "update"}, func(m *record.LoggedModel) error {
		m.Tags = map[string]string{"stage": "new"}
		return nil
	})
	require.NoError(t, err)

	left := synced(t, cloud, laptop, nil)
	require.Equal(t, "logged model", left.Open()[0].Kind)
	require.Zero(t, left.Points)
	of, err := history.LoggedModelFiles(loggedID).Files(ctx, c, "")
	require.NoError(t, err)
	require.Empty(t, of.Files, "nothing of it came")
	require.Equal(t, 1, synced(t, cloud, laptop, &mirror.Options{Resolve: mirror.PreferSource, DryRun: true}).LoggedModels.Updated)
	require.Equal(t, 1, synced(t, cloud, laptop, &mirror.Options{Resolve: mirror.PreferSource}).LoggedModels.Updated)
	requireLogged(t, cloud, loggedID, all)
	require.Zero(t, clean(t, cloud, laptop).Changes())
}

// TestBuildContext: the files of a build context come before its environment, and are
// kept where it is.
func TestBuildContext(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	src, dst := created(t, "src", memory.NewObjects()), created(t, "dst", memory.NewObjects())
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM x"), 0o600))
	spec, err := environment.FromBuildContext("e", dir, "")
	require.NoError(t, err)
	_, err = src.Environments().Register(ctx, spec, nil)
	require.NoError(t, err)
	clean(t, dst, src)
	_, err = dst.GC(ctx, &workspace.GCOptions{Exclusive: true})
	require.NoError(t, err)
	e, err := dst.Environments().Get(ctx, "e", "", nil)
	require.NoError(t, err)
	h := workspace.Handle(dst)
	m, err := h.Files().Manifest(ctx, e.Details().Docker.BuildContext.Files)
	require.NoError(t, err)
	content, err := h.Files().Open(ctx, m.Files[0])
	require.NoError(t, err)
	defer content.Close()
	data, err := io.ReadAll(content)
	require.NoError(t, err)
	require.Equal(t, "FROM x", string(data))

	require.NoError(t, h.Objects().Delete(ctx, "files/manifests/"+e.Details().Docker.BuildContext.Files+".json", &backend.DeleteOptions{}))
	report, err := dst.Fsck(ctx, nil)
	require.NoError(t, err)
	require.NotEmpty(t, report.Problems)
}
