package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/process"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// handle opens the place's workspace on a machine whose clock is off.
func (p place) handle(t *testing.T, off time.Duration) core.Handle {
	t.Helper()
	return p.handleOn(t, off, func(o backend.Objects) backend.Objects { return o })
}

// handleOn is handle on a wrapped store.
func (p place) handleOn(t *testing.T, off time.Duration, wrap func(backend.Objects) backend.Objects) core.Handle {
	t.Helper()
	objects, secrets, err := p.stores()
	require.NoError(t, err)
	local, err := process.New(filepath.Join(p.Cache, "jobs", "other"), nil)
	require.NoError(t, err)
	h := core.New(core.Config{Objects: wrap(objects), Secrets: secrets, Local: local, CacheDir: p.Cache,
		Workspace: record.Workspace{ID: "other", Name: "other"}, Now: func() time.Time { return time.Now().Add(off) }})
	t.Cleanup(func() { require.NoError(t, h.Close(context.Background())) })
	return h
}

// foreignRun makes a run that a process of another machine drives, and that
// was heard of some time ago.
func foreignRun(t *testing.T, p place, id string, silence time.Duration) {
	t.Helper()
	h := p.handle(t, 0)
	stored, err := history.Create(t.Context(), h, record.Run{ID: id, Experiment: "far", Type: run.TypeInProcess, Status: record.Running,
		Owner: &record.Owner{ID: "0123456789abcdef", Host: "far-away", PID: 1}})
	require.NoError(t, err)
	require.NoError(t, history.Beat(t.Context(), h, stored.Value))
	setSilence(t, p, id, silence)
}

// setSilence makes the last heartbeat of the run that old.
func setSilence(t *testing.T, p place, id string, silence time.Duration) {
	t.Helper()
	at := time.Now().Add(-silence)
	beats, err := filepath.Glob(filepath.Join(p.Dir, "runs", id, "heartbeat-*.json"))
	require.NoError(t, err)
	require.Len(t, beats, 1)
	require.NoError(t, os.Chtimes(beats[0], at, at))
}

func noticeRun(ctx context.Context, ws *workspace.Workspace, e errand, ack func(string, ...any)) error {
	r, err := ws.Runs().Get(ctx, e.Run, nil)
	if err == nil {
		ack("%s", r.Status())
	}
	return err
}

func TestSilentRunEndsOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ws := p.open(t)
	_, err := ws.Experiments().CreateOrUpdate(t.Context(), "far", nil)
	require.NoError(t, err)
	foreignRun(t, p, "silent", time.Minute)
	const processes = 8
	notice := errand{Name: "notice", Place: p, Run: "silent"}
	for _, phase := range []struct {
		silence time.Duration
		status  run.Status
		history []run.Status
	}{
		{time.Minute, run.StatusRunning, []run.Status{run.StatusRunning}},
		{history.SilentAfter + time.Second, run.StatusNotResponding, []run.Status{run.StatusRunning, run.StatusNotResponding}},
		{history.FailAfter + time.Second, run.StatusFailed, []run.Status{run.StatusRunning, run.StatusNotResponding, run.StatusFailed}},
	} {
		setSilence(t, p, "silent", phase.silence)
		lines := all(t, processes, notice)
		require.Contains(t, lines, string(phase.status))
		r, err := ws.Runs().Get(t.Context(), "silent", nil)
		require.NoError(t, err)
		var seen []run.Status
		for _, step := range r.Details().History {
			seen = append(seen, step.Status)
		}
		require.Equal(t, phase.history, seen)
	}
	r, err := ws.Runs().Get(t.Context(), "silent", nil)
	require.NoError(t, err)
	require.Contains(t, r.Details().Reason, "nothing was heard from the process that drove the run (pid 1 on far-away)")
	changes := 0
	for entry, err := range ws.Audit(t.Context(), &workspace.AuditOptions{Kind: "run", Name: "silent"}) {
		require.NoError(t, err)
		if entry.Op == "update" && entry.Failure == "" {
			changes++
		}
	}
	require.Equal(t, 1, changes, "the end is in the audit log once")
	clean(t, ws)
}

// A process that was only silent goes on with its run.
func TestSilentRunComesBack(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	exp, err := p.open(t).Experiments().CreateOrUpdate(t.Context(), "e", nil)
	require.NoError(t, err)
	r, err := exp.StartLogging(t.Context(), nil)
	require.NoError(t, err)
	h := p.handle(t, 0)
	stored, err := history.Get(t.Context(), h, r.ID())
	require.NoError(t, err)
	require.NoError(t, history.Beat(t.Context(), h, stored.Value))
	setSilence(t, p, r.ID(), history.SilentAfter+time.Second)
	seen, err := p.open(t).Runs().Get(t.Context(), r.ID(), nil)
	require.NoError(t, err)
	require.Equal(t, run.StatusNotResponding, seen.Status())
	require.Eventually(t, func() bool {
		require.NoError(t, seen.Refresh(t.Context()))
		return seen.Status() == run.StatusRunning
	}, soon, 10*time.Millisecond)
	require.NoError(t, r.Complete(t.Context()))
	require.NoError(t, seen.Wait(t.Context(), nil))
}

// A cancel is not forgotten when the run's process is silent: it may come back.
func TestCancelOfASilentRun(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ws := p.open(t)
	_, err := ws.Experiments().CreateOrUpdate(t.Context(), "far", nil)
	require.NoError(t, err)
	foreignRun(t, p, "silent", time.Second)
	r, err := ws.Runs().Get(t.Context(), "silent", nil)
	require.NoError(t, err)
	require.NoError(t, r.Cancel(t.Context(), nil))
	setSilence(t, p, "silent", history.SilentAfter+time.Second)
	require.NoError(t, r.Refresh(t.Context()))
	require.Equal(t, run.StatusCancelRequested, r.Status())
	setSilence(t, p, "silent", history.FailAfter+time.Second)
	require.NoError(t, r.Refresh(t.Context()))
	require.Equal(t, run.StatusFailed, r.Status())
}

func TestClocksThatDiffer(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{-time.Hour, time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			_, err := p.open(t).Experiments().CreateOrUpdate(t.Context(), "far", nil)
			require.NoError(t, err)
			foreignRun(t, p, "alive", time.Second)
			foreignRun(t, p, "dead", history.FailAfter+time.Second)
			client := run.NewClient(p.handle(t, off))
			alive, err := client.Get(t.Context(), "alive", nil)
			require.NoError(t, err)
			require.Equal(t, run.StatusRunning, alive.Status())
			dead, err := client.Get(t.Context(), "dead", nil)
			require.NoError(t, err)
			require.Equal(t, run.StatusFailed, dead.Status())
			// What somebody with another clock has written later is the newer state.
			other, err := run.NewClient(p.handle(t, -off)).Get(t.Context(), "alive", nil)
			require.NoError(t, err)
			require.NoError(t, alive.Tag(t.Context(), "a", "1"))
			require.NoError(t, other.Cancel(t.Context(), nil))
			require.NoError(t, alive.Refresh(t.Context()))
			require.Equal(t, run.StatusCancelRequested, alive.Status())
			require.NoError(t, alive.Tag(t.Context(), "a", "2"))
			require.NoError(t, other.Refresh(t.Context()))
			require.Equal(t, "2", other.Details().Tags["a"])
		})
	}
}

// TestEndOfSilentRunIsCutOff ends silent runs with a process that stops after
// each of its writes in turn, and lets another one end it later.
func TestEndOfSilentRunIsCutOff(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ws := p.open(t)
	_, err := ws.Experiments().CreateOrUpdate(t.Context(), "far", nil)
	require.NoError(t, err)
	for n := 1; ; n++ {
		id := fmt.Sprintf("silent-%d", n)
		foreignRun(t, p, id, history.FailAfter+time.Second)
		h := p.handleOn(t, 0, func(o backend.Objects) backend.Objects { return faulty.New(o, faulty.Plan{StopAfterWrites: n}) })
		_, err := run.NewClient(h).Get(t.Context(), id, nil)
		setSilence(t, p, id, history.FailAfter+time.Second)
		r, getErr := ws.Runs().Get(t.Context(), id, nil)
		require.NoError(t, getErr)
		require.Equal(t, run.StatusFailed, r.Status(), "stopped after %d writes", n)
		if err == nil {
			require.Greater(t, n, 3)
			break
		}
		require.ErrorIs(t, err, azml.ErrClosed)
	}
	clean(t, ws)
}

// noAudit is a store that takes no audit lines as long as off is set.
type noAudit struct {
	backend.Objects
	off atomic.Bool
}

func (o *noAudit) Append(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
	if o.off.Load() && strings.HasPrefix(key, "audit/") {
		return backend.Info{}, fmt.Errorf("%w: append to %s", azml.ErrUnavailable, key)
	}
	return o.Objects.Append(ctx, key, offset, data)
}

// TestEndOfSilentRunIsTriedAgain: a process that could not end a silent run
// can do it the next time it looks.
func TestEndOfSilentRunIsTriedAgain(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	_, err := p.open(t).Experiments().CreateOrUpdate(t.Context(), "far", nil)
	require.NoError(t, err)
	foreignRun(t, p, "silent", history.FailAfter+time.Second)
	store := &noAudit{}
	h := p.handleOn(t, 0, func(o backend.Objects) backend.Objects { store.Objects = o; return store })
	store.off.Store(true)
	_, err = run.NewClient(h).Get(t.Context(), "silent", nil)
	require.ErrorIs(t, err, azml.ErrUnavailable)
	store.off.Store(false)
	setSilence(t, p, "silent", history.FailAfter+time.Second)
	r, err := run.NewClient(h).Get(t.Context(), "silent", nil)
	require.NoError(t, err)
	require.Equal(t, run.StatusFailed, r.Status())
	require.Contains(t, r.Details().Reason, "pid 1 on far-away", "it was given back to the owner it had lost")
}
