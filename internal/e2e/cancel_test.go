package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// shell is the configuration of a run of a shell script.
func shell(t *testing.T, script string) experiment.ScriptRunConfig {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "run.sh"), []byte(script), 0o600))
	return experiment.ScriptRunConfig{Source: dir, Command: []string{"/bin/sh", "run.sh"}, GracePeriod: 100 * time.Millisecond}
}

// submit submits the run to a fresh workspace.
func submit(t *testing.T, config experiment.ScriptRunConfig) (*workspace.Workspace, place, *run.Run) {
	t.Helper()
	p := newPlace(t)
	ws := p.open(t)
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "scripts", nil)
	require.NoError(t, err)
	r, err := exp.Submit(t.Context(), config, nil)
	require.NoError(t, err)
	return ws, p, r
}

// began waits until the script has made the file "began" in its folder, which
// PLACE names.
func began(t *testing.T, config *experiment.ScriptRunConfig) func() {
	file := filepath.Join(t.TempDir(), "began")
	config.Variables = map[string]string{"BEGAN": file}
	return func() {
		require.Eventually(t, func() bool { _, err := os.Stat(file); return err == nil }, soon, 5*time.Millisecond)
	}
}

// gone waits until no process of the workspace's scripts is left.
func gone(t *testing.T, ws *workspace.Workspace) {
	t.Helper()
	require.Eventually(t, func() bool { return len(processesWith(t, "AZUREML_WORKSPACE_ID="+ws.ID())) == 0 }, soon, 5*time.Millisecond)
}

// askToCancel asks for the end of a run and does not wait for it.
func askToCancel(ctx context.Context, ws *workspace.Workspace, e errand) error {
	r, err := ws.Runs().Get(ctx, e.Run, nil)
	if err != nil {
		return err
	}
	return r.Cancel(ctx, &run.CancelOptions{Reason: "enough"})
}

func cancelRun(ctx context.Context, ws *workspace.Workspace, e errand) error {
	if err := askToCancel(ctx, ws, e); err != nil {
		return err
	}
	r, err := ws.Runs().Get(ctx, e.Run, nil)
	if err != nil {
		return err
	}
	if err := r.Wait(ctx, nil); err == nil || r.Status() != run.StatusCanceled {
		return fmt.Errorf("it is %s: %w", r.Status(), err)
	}
	return nil
}

// stubborn is a script that does not want to end.
const stubborn = `
trap '' TERM INT HUP
setsid sh -c 'trap "" TERM; while :; do sleep 0.05; done' &
(sh -c 'trap "" TERM; sleep 600') &
(setsid sleep 600 &)
touch "$BEGAN"
while :; do echo "noise noise noise noise noise noise noise noise"; done
`

func TestCancelFromAnotherProcess(t *testing.T) {
	t.Parallel()
	config := shell(t, stubborn)
	ready := began(t, &config)
	ws, p, r := submit(t, config)
	ready()
	start := time.Now()
	all(t, 1, errand{Name: "cancel", Place: p, Run: r.ID()})
	require.ErrorIs(t, r.Wait(t.Context(), nil), azml.ErrCanceled)
	require.Less(t, time.Since(start), soon)
	require.ErrorIs(t, r.Cancel(t.Context(), nil), azml.ErrConflict, "it has ended")
	var history []run.Status
	for _, step := range r.Details().History {
		history = append(history, step.Status)
	}
	require.Equal(t, []run.Status{run.StatusStarting, run.StatusPreparing, run.StatusRunning, run.StatusCancelRequested, run.StatusCanceled}, history)
	gone(t, ws)
	require.Empty(t, filesBelow(t, filepath.Join(p.Cache, "runs")))
	require.Empty(t, filesBelow(t, filepath.Join(p.Cache, "jobs")))
	clean(t, ws)
}

func TestCancelInProcess(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ws := p.open(t)
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "in-process", nil)
	require.NoError(t, err)
	r, err := exp.Run(t.Context(), func(ctx context.Context, r *run.Run) error {
		all(t, 1, errand{Name: "ask", Place: p, Run: r.ID()})
		<-ctx.Done()
		return ctx.Err()
	}, nil)
	require.ErrorIs(t, err, azml.ErrCanceled)
	require.Equal(t, run.StatusCanceled, r.Status())
}

func TestMaxDuration(t *testing.T) {
	t.Parallel()
	config := shell(t, "echo started; sleep 600")
	config.MaxDuration = time.Second
	ws, _, r := submit(t, config)
	err := r.Wait(t.Context(), nil)
	require.ErrorIs(t, err, azml.ErrFailed)
	require.ErrorContains(t, err, "time limit of 1s")
	require.Equal(t, []string{"started"}, r.Details().Error.LastLines)
	gone(t, ws)
}

func TestWaitThatIsGivenUpLeavesTheRunAlone(t *testing.T) {
	t.Parallel()
	config := shell(t, `touch "$BEGAN"; until [ -e "$BEGAN.go" ]; do sleep 0.01; done`)
	ready := began(t, &config)
	_, _, r := submit(t, config)
	ready()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.Wait(ctx, &run.WaitOptions{Output: &strings.Builder{}}), context.Canceled)
	require.NoError(t, r.Refresh(t.Context()))
	require.Equal(t, run.StatusRunning, r.Status())
	require.NoError(t, os.WriteFile(config.Variables["BEGAN"]+".go", nil, 0o600))
	require.NoError(t, r.Wait(t.Context(), nil))
}

func TestCloseWhileRunsGoOn(t *testing.T) {
	t.Parallel()
	config := shell(t, stubborn)
	ready := began(t, &config)
	p := newPlace(t)
	ws, err := workspace.Open(t.Context(), p.Dir, p.options())
	require.NoError(t, err)
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "scripts", nil)
	require.NoError(t, err)
	script, err := exp.Submit(t.Context(), config, nil)
	require.NoError(t, err)
	logged, err := exp.StartLogging(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, logged.Log("a", 1.0, nil))
	ready()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, ws.Close(ctx), context.DeadlineExceeded)

	again := p.open(t)
	gone(t, again)
	script, err = again.Runs().Get(t.Context(), script.ID(), nil)
	require.NoError(t, err)
	require.Equal(t, run.StatusCanceled, script.Status())
	require.Contains(t, script.Details().Reason, "the workspace was closed")
	logged, err = again.Runs().Get(t.Context(), logged.ID(), nil)
	require.NoError(t, err)
	require.Equal(t, run.StatusFailed, logged.Status())
	require.Contains(t, logged.Details().Reason, "the workspace was closed before the run was completed")
	require.EqualValues(t, 1, series(t, logged, "a", 0))
	clean(t, again)
}

// TestCloseEndsAtOnce: what has no end of its own does not hold Close up.
func TestCloseEndsAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ws, err := workspace.Open(t.Context(), p.Dir, p.options())
	require.NoError(t, err)
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "open", nil)
	require.NoError(t, err)
	r, err := exp.StartLogging(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, r.Log("a", 1.0, nil))
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	require.NoError(t, ws.Close(ctx))
	require.ErrorIs(t, r.Log("a", 2.0, nil), azml.ErrClosed)
}
