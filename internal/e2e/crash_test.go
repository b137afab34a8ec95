package e2e

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// TestKilled kills living processes at random moments, and looks each time
// whether the workspace is whole and has all that was acknowledged.
func TestKilled(t *testing.T) {
	t.Parallel()
	const lanes = 2
	for lane := range lanes {
		t.Run(fmt.Sprintf("lane %d", lane), func(t *testing.T) {
			t.Parallel()
			for round := range size(5, 1) {
				killMany(t, newPlace(t), rand.Uint64N(1_000_000)*1000+uint64(round), size(20, 4))
			}
		})
	}
}

// killMany starts and kills processes in a fresh workspace.
func killMany(t *testing.T, p place, seed uint64, kills int) {
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	source := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(source, "train.sh"), []byte(lifeShell), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(source, "train.py"), []byte(lifePython), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(source, "score.py"), []byte(lifeScore), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(source, ".amlignore"), []byte("progress\n"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(source, "progress"), 0o700))
	counts := map[string]int{}
	defer func() { t.Logf("acknowledged: %v", counts) }()
	for kill := range kills {
		w := start(t, errand{Name: "live", Place: p, Seed: seed + uint64(kill), Dir: source})
		lines := make(chan []string, 1)
		go func() {
			var all []string
			for w.lines.Scan() {
				all = append(all, w.lines.Text())
			}
			lines <- all
		}()
		time.Sleep(time.Duration(rnd.Int64N(int64(600 * time.Millisecond)))) // the moment is what is random
		require.NoError(t, w.cmd.Process.Kill())
		seen := claims(<-lines)
		_ = w.cmd.Wait()
		for _, d := range seen.did {
			counts[d[0]]++
		}
		require.Empty(t, w.stderr.String(), "seed %d, kill %d", seed, kill)
		if !t.Run(fmt.Sprintf("seed %d kill %d", seed, kill), func(t *testing.T) { seen.check(t, p, source) }) {
			return
		}
	}
}

// claimed is what a killed process has said.
type claimed struct {
	did, will [][]string
}

func claims(lines []string) claimed {
	var c claimed
	for _, line := range lines {
		switch fields := strings.Fields(line); {
		case len(fields) > 2 && fields[0] == "did":
			c.did = append(c.did, fields[1:])
		case len(fields) > 2 && fields[0] == "will":
			c.will = append(c.will, fields[1:])
		}
	}
	return c
}

// said tells whether the process said so about a thing.
func said(lines [][]string, what, name string) bool {
	for _, l := range lines {
		if l[0] == what && l[1] == name {
			return true
		}
	}
	return false
}

// check opens the workspace and looks for all that the process has done.
func (c claimed) check(t *testing.T, p place, source string) {
	ws := p.open(t)
	clean(t, ws)
	for _, d := range c.did {
		switch d[0] {
		case "run":
			c.checkRun(t, ws, d[1], source)
		case "model":
			version, err := strconv.Atoi(d[2])
			require.NoError(t, err)
			m, err := ws.Models().Get(t.Context(), d[1], version, nil)
			require.NoError(t, err)
			require.Equal(t, d[3], modelText(t, m))
		case "unmodel":
			version, err := strconv.Atoi(d[2])
			require.NoError(t, err)
			_, err = ws.Models().Get(t.Context(), d[1], version, nil)
			require.ErrorIs(t, err, azml.ErrNotFound)
		case "unrun":
			_, err := ws.Runs().Get(t.Context(), d[1], nil)
			require.ErrorIs(t, err, azml.ErrNotFound)
		case "endpoint":
			ep, err := ws.Endpoints().Get(t.Context(), d[1], nil)
			require.NoError(t, err)
			require.Equal(t, endpoint.StateUnhealthy, ep.State())
			require.Contains(t, ep.Details().Error, "has ended")
		case "secret":
			value, err := ws.Secrets().Get(t.Context(), d[1])
			require.NoError(t, err)
			require.Equal(t, "value of "+d[1], value)
		}
	}
	c.checkRest(t, ws, p)
}

// checkRun checks one run that was acknowledged.
func (c claimed) checkRun(t *testing.T, ws *workspace.Workspace, id, source string) {
	began := time.Now()
	r, err := ws.Runs().Get(t.Context(), id, nil)
	require.NoError(t, err)
	require.Less(t, time.Since(began), soon)
	script := strings.HasPrefix(id, "script-")
	switch {
	case said(c.did, "complete", id):
		require.Equal(t, run.StatusCompleted, r.Status())
	case script || said(c.will, "complete", id):
		require.Contains(t, []run.Status{run.StatusCompleted, run.StatusFailed}, r.Status())
	default:
		require.Equal(t, run.StatusFailed, r.Status())
	}
	if r.Status() == run.StatusFailed {
		require.Contains(t, r.Details().Reason, "ended without finishing it")
		require.Empty(t, r.Details().Warnings)
	}
	if said(c.did, "file", id) {
		in, err := r.Open(t.Context(), "outputs/model.txt")
		require.NoError(t, err)
		defer in.Close()
		data, err := io.ReadAll(in)
		require.NoError(t, err)
		require.Equal(t, id, string(data))
	}
	if script {
		checkScript(t, r, source)
		return
	}
	least := int64(0)
	for _, d := range c.did {
		if d[0] == "points" && d[1] == id {
			least, err = strconv.ParseInt(d[2], 10, 64)
			require.NoError(t, err)
		}
	}
	require.GreaterOrEqual(t, series(t, r, "loss", 0), least, "points of %s", id)
}

// series checks that the points of a series are whole, each once and in order,
// and gives their number.
func series(t *testing.T, r *run.Run, name string, first int64) (n int64) {
	t.Helper()
	for m, err := range r.Metrics(t.Context(), &run.MetricsOptions{Names: []string{name}}) {
		require.NoError(t, err)
		require.Equal(t, first+n, m.Step, "point of %s", r.ID())
		n++
	}
	return n
}

// checkScript checks that what the script wrote before its end is there.
func checkScript(t *testing.T, r *run.Run, source string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(source, "progress", r.ID()))
	if os.IsNotExist(err) {
		return // it was not begun
	}
	require.NoError(t, err)
	least, err := strconv.ParseInt(string(bytes.TrimSpace(data)), 10, 64)
	require.NoError(t, err)
	require.GreaterOrEqual(t, series(t, r, "acc", 1), least, "points of %s", r.ID())
	log, err := r.Logs(t.Context(), nil)
	require.NoError(t, err, "%+v", r.Details())
	defer log.Close()
	text, err := io.ReadAll(log)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	require.GreaterOrEqual(t, int64(len(lines)), least, "output of %s", r.ID())
	for i := range least {
		require.Equal(t, fmt.Sprintf("line %d", i+1), lines[i])
	}
}

// checkRest checks that every run has ended and that nothing is left of them
// on this machine.
func (c claimed) checkRest(t *testing.T, ws *workspace.Workspace, p place) {
	t.Helper()
	for r, err := range ws.Runs().List(t.Context(), nil) {
		require.NoError(t, err)
		require.True(t, r.Status().Terminal(), "run %s is %s", r.ID(), r.Status())
	}
	_, err := ws.GC(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, filesBelow(t, filepath.Join(p.Cache, "runs")), "working folders")
	require.Empty(t, filesBelow(t, filepath.Join(p.Cache, "jobs")), "jobs")
	require.Empty(t, filesBelow(t, filepath.Join(p.Cache, "endpoints")), "working folders of endpoints")
	require.Empty(t, filesBelow(t, filepath.Join(p.Dir, ".localfs", "spool")), "spool files")
	for _, variable := range []string{"AZUREML_WORKSPACE_ID=" + ws.ID(), "AML_APP_ROOT=" + p.Cache} {
		require.Eventually(t, func() bool { return len(processesWith(t, variable)) == 0 }, soon, 10*time.Millisecond, "processes with %s are left", variable)
	}
	clean(t, ws)
}

// filesBelow lists the files below dir but for scratch folders, which the
// driver sweeps in time.
func filesBelow(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !strings.Contains(path, ".scratch-") {
			files = append(files, path)
		}
		return nil
	})
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	return files
}

// processesWith gives the processes that have the variable, or one that begins so.
func processesWith(t *testing.T, variable string) (pids []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/environ")
	require.NoError(t, err)
	for _, file := range all {
		data, err := os.ReadFile(file)
		if err == nil && bytes.Contains(data, []byte(variable)) {
			pids = append(pids, filepath.Base(filepath.Dir(file)))
		}
	}
	return pids
}
