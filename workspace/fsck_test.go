package workspace_test

import (
	"bytes"
	"context"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// filled makes a workspace in memory that holds an object of every kind, and
// gives them with a name for each kind.
func filled(t *testing.T) (*workspace.Workspace, backend.Objects, map[string]string) {
	t.Helper()
	ctx := t.Context()
	objects := memory.NewObjects()
	ws, err := workspace.Create(ctx, workspace.Config{Objects: objects, Secrets: memory.NewSecrets(), Name: "test", CacheDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ws.Close(context.Background())) })
	e, err := ws.Experiments().CreateOrUpdate(ctx, "e", nil)
	require.NoError(t, err)
	for _, id := range []string{"r1", "r2"} {
		_, err = e.Run(ctx, func(ctx context.Context, r *run.Run) error {
			for _, name := range []string{"a", "b"} {
				require.NoError(t, r.Upload(ctx, name, strings.NewReader(name+id), nil))
			}
			return r.Log("loss", 1.0, nil)
		}, &experiment.RunOptions{RunID: id})
		require.NoError(t, err)
	}
	r, err := ws.Runs().Get(ctx, "r1", nil)
	require.NoError(t, err)
	for range 2 {
		_, err = r.RegisterModel(ctx, "m", "a", nil)
		require.NoError(t, err)
	}
	_, err = ws.Compute().Create(ctx, "box", compute.Local{}, nil)
	require.NoError(t, err)
	_, err = ws.Environments().Register(ctx, environment.Spec{Name: "env"}, nil)
	require.NoError(t, err)
	_, err = ws.Endpoints().Create(ctx, "score", endpoint.Config{Handler: echo}, nil)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(segments(t, objects)) == 0 }, time.Minute, time.Millisecond, "the runs' metrics are sealed")
	r, err = e.StartLogging(ctx, &experiment.RunOptions{RunID: "r3"})
	require.NoError(t, err)
	require.NoError(t, r.Log("loss", 1.0, nil))
	require.NoError(t, r.Flush(ctx))
	kinds := map[string]string{}
	for info, err := range objects.List(ctx, &backend.ListOptions{}) {
		require.NoError(t, err)
		parts := strings.Split(info.Key, "/")
		kind := path.Dir(info.Key)
		switch {
		case parts[0] == "audit":
			continue // lines without checksums: damage shows as a missing line
		case parts[0] == "files":
			kind = strings.Join(parts[:2], "/")
		case len(parts) > 2 && parts[0] == "runs":
			kind = "runs/" + parts[2]
			if parts[2] == "metrics" {
				kind += path.Ext(info.Key)
			}
		}
		if _, known := kinds[kind]; !known {
			kinds[kind] = info.Key
		}
	}
	return ws, objects, kinds
}

// segments lists the segments of metrics.
func segments(t *testing.T, objects backend.Objects) (keys []string) {
	t.Helper()
	for info, err := range objects.List(t.Context(), &backend.ListOptions{Prefix: "runs/"}) {
		require.NoError(t, err)
		if path.Ext(info.Key) == ".seg" {
			keys = append(keys, info.Key)
		}
	}
	return keys
}

func fsck(t *testing.T, ws *workspace.Workspace) *workspace.FsckReport {
	t.Helper()
	report, err := ws.Fsck(t.Context(), &workspace.FsckOptions{Deep: true})
	require.NoError(t, err)
	return report
}

func TestFsckOfASoundWorkspace(t *testing.T) {
	t.Parallel()
	ws, objects, kinds := filled(t)
	report := fsck(t, ws)
	require.True(t, report.Clean(), report.Problems)
	require.Equal(t, 3, report.Runs)
	require.GreaterOrEqual(t, len(kinds), 14, "%v", kinds)
	_, err := objects.Put(t.Context(), "mine/notes.txt", strings.NewReader("x"), &backend.PutOptions{})
	require.NoError(t, err)
	report = fsck(t, ws)
	require.True(t, report.Clean())
	require.Equal(t, "mine/notes.txt", report.Notes[0].Key)
}

func TestFsckFindsAFlippedBitInEveryKind(t *testing.T) {
	t.Parallel()
	_, _, kinds := filled(t)
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ws, objects, kinds := filled(t)
			object, err := objects.Get(t.Context(), kinds[kind], &backend.GetOptions{})
			require.NoError(t, err)
			data, err := io.ReadAll(object.Body)
			require.NoError(t, err)
			data[0] ^= 1
			_, err = objects.Put(t.Context(), kinds[kind], bytes.NewReader(data), &backend.PutOptions{})
			require.NoError(t, err)
			require.False(t, fsck(t, ws).Clean(), "%s was damaged", kinds[kind])
		})
	}
}

// What a deleted object leaves dangling is found. Not so the last of a series,
// a target or an endpoint: that they were there is known to nobody.
func TestFsckFindsAMissingObject(t *testing.T) {
	t.Parallel()
	for name, pattern := range map[string]string{
		"experiment": "experiments/e.json", "first model version": "models/m/0000000001.json", "first run number": "experiments/e/runs/0000000001.json",
		"first part of files": "runs/r1/files/0000000001.json", "pack": "files/packs/", "manifest": "files/manifests/", "workspace": "workspace.json",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws, objects, _ := filled(t)
			deleted := 0
			for info, err := range objects.List(t.Context(), &backend.ListOptions{Prefix: pattern}) {
				require.NoError(t, err)
				require.NoError(t, objects.Delete(t.Context(), info.Key, &backend.DeleteOptions{}))
				deleted++
			}
			require.Positive(t, deleted)
			require.False(t, fsck(t, ws).Clean())
		})
	}
}

func TestGC(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws, objects, _ := filled(t)
	size := func() (n int64) {
		for info, err := range objects.List(ctx, &backend.ListOptions{Prefix: "files/"}) {
			require.NoError(t, err)
			n += info.Size
		}
		return n
	}
	require.NoError(t, ws.Runs().Delete(ctx, "r2", nil))
	require.NoError(t, ws.Runs().Delete(ctx, "r1", nil))
	require.NoError(t, ws.Models().Delete(ctx, "m", 1, nil))
	before := size()
	dry, err := ws.GC(ctx, &workspace.GCOptions{DryRun: true, Exclusive: true})
	require.NoError(t, err)
	require.Positive(t, dry.Deleted+dry.Condemned)
	require.Equal(t, before, size(), "a dry run changes nothing")
	beside, err := ws.GC(ctx, nil)
	require.NoError(t, err)
	require.Zero(t, beside.Deleted, "beside writers it is only condemned at first")
	done, err := ws.GC(ctx, &workspace.GCOptions{Exclusive: true})
	require.NoError(t, err)
	require.Positive(t, done.Deleted)
	require.Less(t, size(), before)
	require.True(t, fsck(t, ws).Clean())
	m, err := ws.Models().Get(ctx, "m", 2, nil)
	require.NoError(t, err)
	content, err := m.Open(ctx, "")
	require.NoError(t, err, "a model outlives the run that it came from")
	data, err := io.ReadAll(content)
	require.NoError(t, err)
	require.NoError(t, content.Close())
	require.Equal(t, "ar1", string(data))
	_, err = objects.Put(ctx, "models/m/0000000002.json", strings.NewReader("damaged"), &backend.PutOptions{})
	require.NoError(t, err)
	before = size()
	_, err = ws.GC(ctx, &workspace.GCOptions{Exclusive: true})
	require.ErrorIs(t, err, azml.ErrDamaged)
	require.Equal(t, before, size(), "what can't be read may name anything")
}

// TestGCSeals: what was logged to a run after its end, and what sealings that
// were cut off have left.
func TestGCSeals(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws, objects, _ := filled(t)
	e, err := ws.Experiments().Get(ctx, "e", nil)
	require.NoError(t, err)
	mine, err := e.StartLogging(ctx, &experiment.RunOptions{RunID: "late"})
	require.NoError(t, err)
	rank, err := ws.Runs().Get(ctx, "late", nil)
	require.NoError(t, err)
	require.NoError(t, rank.Log("loss", 1.0, nil))
	require.NoError(t, mine.Complete(ctx))
	require.NoError(t, rank.Log("loss", 2.0, nil), "its record was read before the end")
	require.NoError(t, rank.Flush(ctx))
	report, err := ws.GC(ctx, nil)
	require.NoError(t, err)
	require.Zero(t, report.Sealed, "a writer lives")
	sums, err := mine.Summaries(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 2, sums["loss"].Count)

	left := "runs/r1/metrics/0123456789abcdef0123456789abcdef.parquet"
	_, err = objects.Put(ctx, left, strings.NewReader("x"), &backend.PutOptions{})
	require.NoError(t, err)
	require.True(t, fsck(t, ws).Clean())
	require.Contains(t, fsck(t, ws).Notes, workspace.Problem{Key: left,
		Problem: "left by a sealing of metrics that was cut off; the garbage collector removes it"})
	for _, exclusive := range []bool{false, true} {
		_, err = ws.GC(ctx, &workspace.GCOptions{Exclusive: exclusive})
		require.NoError(t, err)
		_, err = objects.Stat(ctx, left)
		require.Equal(t, exclusive, err != nil)
	}

	// A process that dies between the end of its run and the sealing leaves an
	// ended run with segments.
	dying, err := workspace.New(ctx, workspace.Config{Objects: faulty.New(objects, faulty.Plan{}), Secrets: memory.NewSecrets(), CacheDir: t.TempDir()})
	require.NoError(t, err)
	defer dying.Close(ctx)
	exp, err := dying.Experiments().Get(ctx, "e", nil)
	require.NoError(t, err)
	r, err := exp.StartLogging(ctx, &experiment.RunOptions{RunID: "cut"})
	require.NoError(t, err)
	require.NoError(t, r.Log("loss", 1.0, nil))
	require.NoError(t, r.Flush(ctx))
	record, err := objects.Get(ctx, "runs/cut/run.json", &backend.GetOptions{})
	require.NoError(t, err)
	data, err := io.ReadAll(record.Body)
	require.NoError(t, err)
	ended := bytes.Replace(data, []byte(`"status": "Running"`), []byte(`"status": "Failed"`), 1)
	require.NotEqual(t, data, ended)
	_, err = objects.Put(ctx, "runs/cut/run.json", bytes.NewReader(ended), &backend.PutOptions{})
	require.NoError(t, err)
	report, err = ws.GC(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, 1, report.Sealed)
	r, err = ws.Runs().Get(ctx, "cut", nil)
	require.NoError(t, err)
	sums, err = r.Summaries(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 1, sums["loss"].Count)
}
