package keeper

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// silentTarget is one whose machine never answers again.
type silentTarget struct{ backend.OpenedCompute }

func (silentTarget) Listen(context.Context, string) (net.Listener, string, error) {
	closed := make(chan struct{})
	return &silentListener{closed: closed, close: sync.OnceFunc(func() { close(closed) })}, "tcp:nowhere:1", nil
}

func (silentTarget) Wait(context.Context, string) (backend.JobStatus, error) {
	return backend.JobStatus{}, azml.ErrUnavailable
}

// silentListener is a listener that nobody connects to.
type silentListener struct {
	closed chan struct{}
	close  func()
}

func (l *silentListener) Accept() (net.Conn, error) { <-l.closed; return nil, net.ErrClosed }
func (l *silentListener) Close() error              { l.close(); return nil }
func (l *silentListener) Addr() net.Addr            { return &net.TCPAddr{} }

// TestSilentTarget: a target that does not answer is waited for as long as the run is the
// agent's, and no longer.
func TestSilentTarget(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*record.Run)
		ended  bool
		class  error
	}{
		"the run has ended":         {func(r *record.Run) { r.Status = record.Completed }, false, azml.ErrUnavailable},
		"another agent has the run": {func(r *record.Run) { r.Agent, _ = NewAgent() }, true, errTaken},
		"the run waits for nodes":   {func(r *record.Run) { r.Status = record.Queued; r.Requeue() }, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { silentTargetCase(t, c.change, c.ended, c.class) })
		})
	}
}

// keeperOf gives the keeper of a run "r" of a workspace in memory, without its target.
func keeperOf(t *testing.T, r record.Run) *keeper {
	t.Helper()
	h := core.New(core.Config{Objects: memory.NewObjects(), Secrets: memory.NewSecrets(), CacheDir: t.TempDir()})
	t.Cleanup(func() { require.NoError(t, h.Close(context.Background())) })
	_, err := core.CreateQuiet(t.Context(), h, history.ExperimentRef("e").Key, record.Experiment{Name: "e"})
	require.NoError(t, err)
	r.ID, r.Experiment = "r", "e"
	stored, err := history.Create(t.Context(), h, r)
	require.NoError(t, err)
	return &keeper{h: h, run: stored.Value}
}

// silentTargetCase keeps a run on such a target, and changes its record after an hour.
func silentTargetCase(t *testing.T, change func(*record.Run), ended bool, class error) {
	a, _ := NewAgent()
	a.Adopted, a.Nodes = true, []string{"near/0", "far/0"}
	k := keeperOf(t, record.Run{Status: record.Running, Agent: a, Owner: &record.Owner{ID: "agent", Host: "elsewhere", PID: 1}, Definition: &record.Definition{Compute: "far"}})
	h := k.h
	k.target, k.seat = silentTarget{}, &seat{job: a.Job, questions: make(chan question)}
	t.Cleanup(func() { k.seat.stop(); <-k.seat.served })
	type end struct {
		ended bool
		err   error
	}
	seen := make(chan end, 1)
	go func() {
		ended, err := k.see(t.Context(), nil)
		seen <- end{ended, err}
	}()
	time.Sleep(time.Hour)
	require.Empty(t, seen, "the agent may go on with its work")

	changed, err := history.Update(t.Context(), h, "r", core.Quiet, func(r *record.Run) error { change(r); return nil })
	require.NoError(t, err)
	select {
	case s := <-seen:
		require.Equal(t, ended, s.ended)
		require.ErrorIs(t, s.err, class)
	case <-time.After(lookAfter + 2*tryEvery):
		require.Fail(t, "it is waited for the target")
	}
	stored, err := history.Get(t.Context(), h, "r")
	require.NoError(t, err)
	require.Equal(t, changed.ETag, stored.ETag, "nothing is written any more")
}

// stuckTarget is one whose machine answers, and whose jobs can't be ended.
type stuckTarget struct{ silentTarget }

func (stuckTarget) Wait(ctx context.Context, _ string) (backend.JobStatus, error) {
	<-ctx.Done()
	return backend.JobStatus{}, ctx.Err()
}

func (stuckTarget) Cancel(ctx context.Context, _ string, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

// brokenTarget is one whose machine says that it has no answer.
type brokenTarget struct{ silentTarget }

func (brokenTarget) Cancel(context.Context, string, time.Duration) error {
	return fmt.Errorf("%w: no engine", azml.ErrUnavailable)
}

// TestStuckTarget: a job that can't be ended is waited for as long as its agent may have the
// run, and no longer.
func TestStuckTarget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, _ := NewAgent()
		a.Nodes = []string{"near/0"}
		k := keeperOf(t, record.Run{Status: record.Queued, Agent: a, Definition: &record.Definition{Compute: "near", MaxStart: 900}})
		k.launched = k.h.Now()
		seen, stop := seeOn(t, k, stuckTarget{})
		time.Sleep(15 * time.Minute)
		require.Empty(t, seen)
		time.Sleep(time.Hour)
		stop()
		err := <-seen
		require.ErrorIs(t, err, azml.ErrUnavailable)
		require.ErrorContains(t, err, a.Job)
	})
}

// seeOn has the keeper see its run on a target, until stop is called.
func seeOn(t *testing.T, k *keeper, target backend.OpenedCompute) (seen <-chan error, stop func()) {
	k.target, k.seat = target, &seat{job: k.run.Agent.Job, questions: make(chan question)}
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(func() { stop(); k.seat.stop(); <-k.seat.served })
	ends := make(chan error, 1)
	go func() {
		_, err := k.see(ctx, nil)
		ends <- err
	}()
	return ends, stop
}

// TestCanceledOnStuckTarget: a run that is canceled ends when its processes could not be
// ended for as long as an agent has for that. Its node is given back as one that is still
// in use; elsewhere the job is waited for, for whom nobody else waits.
func TestCanceledOnStuckTarget(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		target  backend.OpenedCompute
		nodes   []string
		adopted bool
		where   string // it says, and why
	}{
		"on a node":                 {stuckTarget{}, []string{"near/0"}, true, "on near/0 could not be ended: context deadline exceeded"},
		"on two nodes":              {stuckTarget{}, []string{"near/0", "far/1"}, true, "on near/0, far/1 could not be ended"},
		"on an engine":              {stuckTarget{}, nil, true, "on near could not be ended"},
		"no agent had it":           {stuckTarget{}, nil, false, "on near could not be ended"},
		"on a node without answers": {brokenTarget{}, []string{"near/0"}, true, "on near/0 could not be ended: unavailable: no engine"},
		"an engine without answers": {brokenTarget{}, nil, true, "on near could not be ended: unavailable: no engine"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a, _ := NewAgent()
				a.Nodes, a.Adopted = c.nodes, c.adopted
				k := keeperOf(t, record.Run{Status: record.Running, Agent: a, Owner: &record.Owner{ID: "agent", Host: "elsewhere", PID: 1}, Definition: &record.Definition{Compute: "near"}})
				_, err := history.Transition(t.Context(), k.h, "r", history.Step{To: record.CancelRequested})
				require.NoError(t, err)
				seen, stop := seeOn(t, k, c.target)
				status := func() record.Run {
					stored, err := history.Get(t.Context(), k.h, "r")
					require.NoError(t, err)
					return stored.Value
				}
				time.Sleep(agentGrace + forceAfter)
				require.Equal(t, record.CancelRequested, status().Status, "it may end yet")
				time.Sleep(forceAfter + 4*lookEvery)
				require.Equal(t, record.Canceled, status().Status)
				require.Contains(t, status().Reason, c.where)
				if len(c.nodes) > 0 {
					require.ErrorIs(t, <-seen, azml.ErrUnavailable)
					return
				}
				time.Sleep(time.Hour)
				require.Empty(t, seen)
				stop()
				require.ErrorIs(t, <-seen, context.Canceled)
			})
		})
	}
}
