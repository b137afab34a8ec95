package workspace_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/record"
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
	require.NoError(t, ws.Models().SetAlias(ctx, "m", "champion", 2, nil))
	logModel(t, objects)
	_, err = ws.Compute().Create(ctx, "box", compute.Local{}, nil)
	require.NoError(t, err)
	_, err = ws.Environments().Register(ctx, environment.Spec{Name: "env"}, nil)
	require.NoError(t, err)
	_, err = ws.Endpoints().Create(ctx, "score", nil)
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
		case len(parts) > 2 && parts[0] == "logged-models":
			kind = "logged-models/" + parts[2]
		case len(parts) > 2 && parts[0] == "runs":
			sort, _, _ := strings.Cut(parts[2], "-")
			kind = "runs/" + sort
			if sort == "metrics" {
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
	told := map[string]int{}
	report, err := ws.Fsck(t.Context(), &workspace.FsckOptions{Deep: true, Progress: func(what string, done int) { told[what] = done }})
	require.NoError(t, err)
	require.True(t, report.Clean(), report.Problems)
	require.Equal(t, 3, report.Runs)
	require.Equal(t, map[string]int{"records": report.Records, "metrics of runs": report.Runs - 1, "metrics of logged models": 0, "contents": report.Chunks}, told)
	require.GreaterOrEqual(t, len(kinds), 18, "%v", kinds)
	_, err = objects.Put(t.Context(), "mine/notes.txt", strings.NewReader("x"), &backend.PutOptions{})
	require.NoError(t, err)
	report = fsck(t, ws)
	require.True(t, report.Clean())
	require.Equal(t, "mine/notes.txt", report.Notes[0].Key)
}

// flips is how many bits of each object are tried.
const flips = 20

func TestFsckFindsAFlippedBitAnywhere(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	ws, objects, _ := filled(t)
	_, err := ws.GC(ctx, nil)
	require.NoError(t, err)
	for info, err := range objects.List(ctx, &backend.ListOptions{}) {
		require.NoError(t, err)
		data := content(t, objects, info.Key)
		length := len(data)
		if strings.HasPrefix(info.Key, auditKeys) {
			length-- // without its end the last line is one that was cut off
		}
		for range flips {
			bit := random.IntN(length * 8)
			spoilt := bytes.Clone(data)
			spoilt[bit/8] ^= 1 << (bit % 8)
			put(t, objects, info.Key, spoilt)
			require.False(t, fsck(t, ws).Clean(), "bit %d of byte %d of %s: %q", bit%8, bit/8, info.Key, data)
		}
		put(t, objects, info.Key, data)
	}
	require.True(t, fsck(t, ws).Clean())
}

const auditKeys = "audit/"

func content(t *testing.T, objects backend.Objects, key string) []byte {
	t.Helper()
	object, err := objects.Get(t.Context(), key, &backend.GetOptions{})
	require.NoError(t, err)
	defer object.Body.Close()
	data, err := io.ReadAll(object.Body)
	require.NoError(t, err)
	return data
}

func put(t *testing.T, objects backend.Objects, key string, data []byte) {
	t.Helper()
	_, err := objects.Put(t.Context(), key, bytes.NewReader(data), &backend.PutOptions{})
	require.NoError(t, err)
}

// Whatever is taken out of a workspace is missed: as a problem, or as a note
// where a process that died may have left the same.
func TestFsckMissesWhatIsGone(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws, objects, _ := filled(t)
	noted := map[string]bool{}
	for info, err := range objects.List(ctx, &backend.ListOptions{}) {
		require.NoError(t, err)
		if strings.Contains(info.Key, "/heartbeat-") {
			continue // the run has ended, and has no use for it
		}
		if strings.HasPrefix(info.Key, "runs/r3/metrics-") {
			continue // the run goes on, and nothing says yet what it has
		}
		if strings.HasPrefix(info.Key, "logged-models/m-1/metrics/") {
			continue // it may be logged to at any time, and nothing says what it has
		}
		data := content(t, objects, info.Key)
		require.NoError(t, objects.Delete(ctx, info.Key, &backend.DeleteOptions{}))
		report := fsck(t, ws)
		if report.Clean() {
			require.NotEmpty(t, report.Notes, "%s is gone", info.Key)
			noted[strings.Split(strings.TrimPrefix(info.Key, "runs/"), "/")[0]] = true
		}
		put(t, objects, info.Key, data)
	}
	require.True(t, fsck(t, ws).Clean())
	// The run that goes on has not changed since its creation either.
	require.Equal(t, map[string]bool{"compute": true, "environments": true, "endpoints": true, "r3": true}, noted)
}

// A deletion that was cut off leaves a workspace that is sound, and can be
// repeated.
func TestFsckAfterADeletionThatWasCutOff(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws, objects, _ := filled(t)
	run := content(t, objects, "runs/r1/run.json")
	require.NoError(t, ws.Runs().Delete(ctx, "r1", nil))
	require.True(t, fsck(t, ws).Clean())
	put(t, objects, "runs/r1/run.json", run)
	report := fsck(t, ws)
	require.True(t, report.Clean(), report.Problems)
	require.NotEmpty(t, report.Notes)
	require.NoError(t, ws.Runs().Delete(ctx, "r1", nil))
	require.True(t, fsck(t, ws).Clean())
}

func TestAuditTellsOfDamage(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws, objects, _ := filled(t)
	before := audit(t, ws)
	for info, err := range objects.List(ctx, &backend.ListOptions{Prefix: auditKeys}) {
		require.NoError(t, err)
		data := content(t, objects, info.Key)
		data[bytes.IndexByte(data, ':')+2] ^= 1
		put(t, objects, info.Key, append(data, `{"id":"cut off`...))
	}
	seen := 0
	var damage error
	for _, err := range ws.Audit(ctx, nil) {
		if damage = err; err == nil {
			seen++
		}
	}
	require.ErrorIs(t, damage, azml.ErrDamaged)
	require.ErrorContains(t, damage, "line 1")
	require.NotContains(t, damage.Error(), "line 2")
	require.Positive(t, seen)
	require.Less(t, seen, len(before))
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

	var ofRun record.Run
	require.NoError(t, record.Decode(content(t, objects, "runs/r1/run.json"), &ofRun))
	left := "runs/r1/metrics-" + ofRun.Life + "/0123456789abcdef0123456789abcdef.parquet"
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
	var ended record.Run
	require.NoError(t, record.Decode(content(t, objects, "runs/cut/run.json"), &ended))
	ended.Status = record.Failed
	data, err := record.Encode(&ended, nil)
	require.NoError(t, err)
	put(t, objects, "runs/cut/run.json", data)
	report, err = ws.GC(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, 1, report.Sealed)
	r, err = ws.Runs().Get(ctx, "cut", nil)
	require.NoError(t, err)
	sums, err = r.Summaries(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 1, sums["loss"].Count)
}
