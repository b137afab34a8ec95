//go:build linux

package scheduler_test

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	azmlerrors "github.com/azml-go/azml"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
)

// variations gives so many, and counts those that were asked for.
func variations(n int, asked *int) iter.Seq[experiment.Variation] {
	return func(yield func(experiment.Variation) bool) {
		for i := range n {
			*asked++
			if !yield(experiment.Variation{RunID: fmt.Sprintf("trial-%04d", i), Command: []string{"/bin/sh", "-c", fmt.Sprint("echo ", i)}, Tags: map[string]string{"trial": fmt.Sprint(i)}}) {
				return
			}
		}
	}
}

// TestBatch submits many runs: they share snapshot and environment, wait in one
// queue, and those that are given nodes run.
func TestBatch(t *testing.T) {
	t.Parallel()
	ws, _ := open(t, compute.Cluster{}, 2)
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "sweep", nil)
	require.NoError(t, err)
	config := experiment.ScriptRunConfig{Source: t.TempDir(), Command: []string{"/bin/false"}, Compute: "pool"}
	const many = 150
	asked, got := 0, 0
	snapshots := map[string]bool{}
	var first, last *run.Run
	for r, err := range exp.SubmitEach(t.Context(), config, variations(many, &asked), &experiment.SubmitOptions{Tags: map[string]string{"team": "risk"}}) {
		require.NoError(t, err)
		got++
		require.Equal(t, got, asked, "a variation is taken when its run is asked for")
		d := r.Details()
		require.Equal(t, run.StatusQueued, d.Status)
		snapshots[d.Properties["ContentSnapshotId"]] = true
		if first == nil {
			first = r
		}
		last = r
	}
	require.Equal(t, many, got)
	require.Len(t, snapshots, 1)
	require.Equal(t, map[string]string{"team": "risk", "trial": "0"}, first.Details().Tags)
	queue := status(t, ws).Queue
	require.Len(t, queue, many)
	require.Equal(t, last.ID(), queue[many-1].RunID)
	for r, err := range exp.SubmitEach(t.Context(), config, variations(2, &asked), nil) {
		require.Nil(t, r)
		require.ErrorIs(t, err, azmlerrors.ErrExists)
	}
	config.Compute = "node-a"
	for r, err := range exp.SubmitEach(t.Context(), config, variations(1, &asked), nil) {
		require.Nil(t, r)
		require.ErrorIs(t, err, azmlerrors.ErrUnsupported)
	}
	for i, q := range queue { // all but the first and the last: they would take minutes
		if i > 0 && i < many-1 {
			r, err := ws.Runs().Get(t.Context(), q.RunID, nil)
			require.NoError(t, err)
			require.NoError(t, r.Cancel(t.Context(), nil))
		}
	}
	schedule(t, ws)
	require.NoError(t, first.Wait(t.Context(), nil))
	require.Equal(t, "0\n", logText(t, first, "user_logs/std_log.txt"))
	require.NoError(t, last.Wait(t.Context(), nil))
	eventually(t, ws, "the queue is empty", func(s compute.ClusterStatus) bool { return len(s.Queue) == 0 })
}

// TestBatchToItsEnd has many short runs submitted at once, each of which begins once and
// completes, and leaves no node behind that is not free.
func TestBatchToItsEnd(t *testing.T) {
	t.Parallel()
	ws, dir := open(t, compute.Cluster{Members: []compute.Member{{Nodes: 4}, {Nodes: 4}}}, 2)
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "sweep", nil)
	require.NoError(t, err)
	begun := filepath.Join(dir, "begun")
	config := experiment.ScriptRunConfig{Source: t.TempDir(), Command: []string{"/bin/sh", "-c", `echo "$AZUREML_RUN_ID" >>"` + begun + `"`}, Compute: "pool"}
	var runs []*run.Run
	for r, err := range exp.SubmitEach(t.Context(), config, slices.Values(make([]experiment.Variation, 100)), nil) {
		require.NoError(t, err)
		runs = append(runs, r)
	}
	schedule(t, ws)
	var ids []string
	for _, r := range runs {
		require.NoError(t, r.Wait(t.Context(), nil))
		ids = append(ids, r.ID())
	}
	text, err := os.ReadFile(begun)
	require.NoError(t, err)
	require.ElementsMatch(t, ids, strings.Fields(string(text)))
	requireFree(t, ws)
}
