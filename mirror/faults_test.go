package mirror_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/mirror"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// same compares two workspaces of which one was synced into the other, by what
// their users see.
func same(t testing.TB, want, got *workspace.Workspace) {
	t.Helper()
	require.Equal(t, dump(t, want), dump(t, got))
}

// dump gives all that users see of runs and models, as lines.
func dump(t testing.TB, ws *workspace.Workspace) (lines []string) {
	t.Helper()
	ctx := t.Context()
	for r, err := range ws.Runs().List(ctx, nil) {
		require.NoError(t, err)
		lines = append(lines, fmt.Sprint("run ", r.Details()))
		for p, err := range r.Metrics(ctx, nil) {
			require.NoError(t, err)
			lines = append(lines, fmt.Sprint("point ", r.ID(), p))
		}
		files, err := r.Files(ctx, "")
		require.NoError(t, err)
		for _, f := range files {
			content, err := r.Open(ctx, f.Path)
			require.NoError(t, err)
			data, err := io.ReadAll(content)
			require.NoError(t, err)
			require.NoError(t, content.Close())
			lines = append(lines, fmt.Sprint("file ", r.ID(), f, string(data)))
		}
	}
	for m, err := range ws.Models().List(ctx, nil) {
		require.NoError(t, err)
		lines = append(lines, fmt.Sprint("model ", m.Details()))
	}
	return lines
}

// TestCutOff stops after each write in turn, on an empty destination and on one
// that has an older state: it is sound then, and the next sync brings the rest.
func TestCutOff(t *testing.T) {
	t.Parallel()
	laptop := created(t, "laptop", memory.NewObjects())
	trained(t, laptop, "churn", "r1")
	require.NoError(t, laptop.Models().SetAlias(t.Context(), "churn", "champion", 1, nil))
	older := memory.NewObjects()
	clean(t, created(t, "cloud", older), laptop)
	trained(t, laptop, "churn", "r2")
	tag(t, laptop, "r1", "changed")
	require.NoError(t, laptop.Models().SetAlias(t.Context(), "churn", "champion", 2, nil))
	empty := memory.NewObjects()
	created(t, "cloud", empty)
	for name, before := range map[string]*memory.Objects{"empty": empty, "older": older} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for writes := 1; ; writes++ {
				objects := cloned(t, before)
				dying := opened(t, faulty.New(objects, faulty.Plan{StopAfterWrites: writes}), t.TempDir())
				_, err := workspace.Sync(t.Context(), dying, laptop, nil)
				cloud := opened(t, objects, t.TempDir())
				sound(t, cloud)
				clean(t, cloud, laptop)
				same(t, laptop, cloud)
				if err == nil {
					require.Greater(t, writes, 10)
					return
				}
				require.ErrorIs(t, err, azml.ErrClosed)
			}
		})
	}
}

// cloned copies a store, with its objects as they are.
func cloned(t testing.TB, from *memory.Objects) *memory.Objects {
	t.Helper()
	to := memory.NewObjects()
	for info, err := range from.List(t.Context(), &backend.ListOptions{}) {
		require.NoError(t, err)
		object, err := from.Get(t.Context(), info.Key, &backend.GetOptions{})
		require.NoError(t, err)
		data, err := io.ReadAll(object.Body)
		require.NoError(t, err)
		_, err = to.Put(t.Context(), info.Key, bytes.NewReader(data), &backend.PutOptions{})
		require.NoError(t, err)
	}
	return to
}

// TestFaultyStores syncs over stores that fail, lose answers and break off, on both
// sides, until it succeeds.
func TestFaultyStores(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	here, there := memory.NewObjects(), memory.NewObjects()
	cloud, laptop := created(t, "cloud", here), created(t, "laptop", there)
	for i := range 6 {
		trained(t, laptop, "churn", fmt.Sprintf("r%d", i))
	}
	// sync is one attempt, over stores that fail in that part of the calls.
	sync := func(part float64) (*mirror.Report, error) {
		plan := faulty.Plan{Errors: part, Lost: part, Torn: part, Seed: r.Uint64()}
		dst, err := reopened(t, faulty.New(here, plan))
		if err != nil {
			return nil, err
		}
		plan.Seed = r.Uint64()
		src, err := reopened(t, faulty.New(there, plan))
		if err != nil {
			return nil, err
		}
		return workspace.Sync(t.Context(), dst, src, nil)
	}
	failed := 0
	for part := 0.2; ; part = max(part*0.6, 0.005) { // so the first can't succeed
		require.Less(t, failed, 500)
		report, err := sync(part)
		if err == nil {
			require.Empty(t, report.Conflicts)
			require.Empty(t, report.Damaged)
			break
		}
		require.ErrorIs(t, err, azml.ErrUnavailable)
		failed++
	}
	require.Positive(t, failed)
	sound(t, cloud)
	clean(t, cloud, laptop)
	same(t, laptop, cloud)
}

// TestAtOnce has several processes sync into one workspace while the source goes
// on.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	here, there := memory.NewObjects(), memory.NewObjects()
	cloud, laptop := created(t, "cloud", here), created(t, "laptop", there)
	trained(t, cloud, "churn", "own") // so that numbers are taken
	var working sync.WaitGroup
	done := make(chan struct{})
	resolve := func(c mirror.Conflict) mirror.Choice {
		if c.Kind == "model" {
			return mirror.Both
		}
		return mirror.Leave
	}
	for range 4 {
		dst, src := opened(t, here, t.TempDir()), opened(t, there, t.TempDir())
		working.Go(func() {
			for last := false; !last; {
				select {
				case <-done:
					last = true
				default:
				}
				report, err := workspace.Sync(ctx, dst, src, &mirror.Options{Resolve: resolve})
				if errors.Is(err, azml.ErrConflict) {
					continue
				}
				if err != nil || len(report.Damaged) > 0 {
					t.Errorf("sync: %v, %v", err, report.Damaged)
					return
				}
			}
		})
	}
	for i := range 10 {
		trained(t, laptop, "churn", fmt.Sprintf("r%d", i))
	}
	close(done)
	working.Wait()
	report := synced(t, cloud, laptop, &mirror.Options{Resolve: resolve})
	require.Empty(t, report.Open())
	sound(t, cloud)
	labels := map[string]int{}
	for m, err := range cloud.Models().List(ctx, nil) {
		require.NoError(t, err)
		labels[m.Details().Tags["of"]]++
	}
	require.Len(t, labels, 11)
	for of, n := range labels {
		require.Equal(t, 1, n, "versions of %s", of)
	}
	numbers := map[int]string{}
	for r, err := range cloud.Runs().List(ctx, &run.ListOptions{Experiment: "churn"}) {
		require.NoError(t, err)
		require.Empty(t, numbers[r.Details().Number], "two runs have number %d", r.Details().Number)
		numbers[r.Details().Number] = r.ID()
		points := 0
		for _, err := range r.Metrics(ctx, nil) {
			require.NoError(t, err)
			points++
		}
		require.Contains(t, []int{1, 300}, points)
	}
	require.Len(t, numbers, 22)
}

// TestKilled kills a process that syncs, again and again.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	src := openFolder(t, dir, "src")
	for i := range 8 {
		trained(t, src, "churn", fmt.Sprintf("r%d", i))
	}
	openFolder(t, dir, "dst")
	r := newRand(t)
	killed := 0
	for attempt := 0; ; attempt++ {
		require.Less(t, attempt, 300)
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		_, err = bufio.NewReader(out).ReadString('\n') // it has begun
		require.NoError(t, err)
		limit := 20*time.Millisecond + time.Duration(attempt*attempt)*3*time.Millisecond // so that some get to their end at last
		timer := time.AfterFunc(time.Duration(r.Int64N(int64(limit))), func() { _ = cmd.Process.Kill() })
		err = cmd.Wait()
		timer.Stop()
		if err == nil {
			break
		}
		require.Contains(t, err.Error(), "killed", stderr.String())
		killed++
		sound(t, openFolder(t, dir, "dst"))
	}
	require.Positive(t, killed)
	t.Logf("killed %d times", killed)
	dst := openFolder(t, dir, "dst")
	clean(t, dst, src)
	same(t, src, dst)
}

// childDir names the folder in which a child process of TestKilled syncs.
const childDir = "MIRROR_TEST_CHILD"

// openFolder opens the workspace in a folder.
func openFolder(t testing.TB, dir, name string) *workspace.Workspace {
	t.Helper()
	ws, err := workspace.Open(t.Context(), filepath.Join(dir, name), &workspace.OpenOptions{CacheDir: filepath.Join(dir, "cache"), SecretsKeyFile: filepath.Join(dir, "key")})
	require.NoError(t, err)
	closed(t, ws)
	return ws
}

// TestDamageIsNotSpread flips a bit of each object of the source in turn: what
// needs it is listed and does not come, all else does, and comes when it is mended.
func TestDamageIsNotSpread(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := newRand(t)
	there := memory.NewObjects()
	laptop := created(t, "laptop", there)
	trained(t, laptop, "churn", "r1")
	trained(t, laptop, "risk", "r2")
	require.Eventually(t, func() bool { return !holds(t, there, ".seg") }, time.Minute, time.Millisecond, "the runs' metrics are sealed")
	var keys []string
	for info, err := range there.List(ctx, &backend.ListOptions{}) {
		require.NoError(t, err)
		keys = append(keys, info.Key)
	}
	told := 0
	for _, key := range keys {
		if unrelated(key) {
			continue
		}
		object, err := there.Get(ctx, key, &backend.GetOptions{})
		require.NoError(t, err)
		data, err := io.ReadAll(object.Body)
		require.NoError(t, err)
		spoilt := bytes.Clone(data)
		bit := r.IntN(len(data) * 8)
		spoilt[bit/8] ^= 1 << (bit % 8)
		_, err = there.Put(ctx, key, bytes.NewReader(spoilt), &backend.PutOptions{})
		require.NoError(t, err)
		cloud := created(t, "cloud", memory.NewObjects())
		report, err := workspace.Sync(ctx, cloud, opened(t, there, t.TempDir()), nil)
		require.NoError(t, err, "bit %d of %s", bit, key)
		require.Empty(t, report.Conflicts)
		if len(report.Damaged) > 0 {
			told++
		} else {
			same(t, laptop, cloud)
		}
		sound(t, cloud)
		_, err = there.Put(ctx, key, bytes.NewReader(data), &backend.PutOptions{})
		require.NoError(t, err)
		clean(t, cloud, opened(t, there, t.TempDir()))
		require.ElementsMatch(t, withoutNumbers(dump(t, laptop)), withoutNumbers(dump(t, cloud)), "after %s was mended", key)
	}
	require.Greater(t, told, 10)
}

// unrelated tells whether nothing that is brought needs the object.
func unrelated(key string) bool {
	return key == "workspace.json" || strings.HasPrefix(key, "audit/") || strings.Contains(key, "/heartbeat-")
}

// holds tells whether there is an object whose key ends so.
func holds(t testing.TB, objects backend.Objects, suffix string) bool {
	for info, err := range objects.List(t.Context(), &backend.ListOptions{}) {
		require.NoError(t, err)
		if strings.HasSuffix(info.Key, suffix) {
			return true
		}
	}
	return false
}

// withoutNumbers takes the lines of runs out, which have other numbers where they
// came later.
func withoutNumbers(lines []string) (rest []string) {
	for _, line := range lines {
		if !strings.HasPrefix(line, "run ") {
			rest = append(rest, line)
		}
	}
	return rest
}
