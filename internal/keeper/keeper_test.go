//go:build linux

package keeper_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/process"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/keeper"
	"github.com/azml-go/azml/internal/program"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/workspace"
)

func TestMain(m *testing.M) {
	// The heartbeat is of a connection to Kubernetes that is closed; it ends with its next tick.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("k8s.io/client-go/tools/remotecommand.(*heartbeat).start"), goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(programDir)
		os.Exit(code)
	}))
}

// programDir is where azml is built.
var programDir string

// azmlProgram builds azml, once for all tests.
var azmlProgram = sync.OnceValues(func() (dir string, err error) {
	if programDir, err = os.MkdirTemp("", "azml-keeper-"); err != nil {
		return "", err
	}
	f := &program.Finder{CacheDir: programDir}
	return f.Find(context.Background(), backend.Platform{OS: runtime.GOOS, Arch: runtime.GOARCH})
})

// instead has a shell script be the agent.
func instead(job backend.Job, script string) backend.Job {
	job.Command = []string{"/bin/sh", "-c", script}
	return job
}

// place is a workspace with a target, and a run there that begins.
type place struct {
	h      core.Handle
	driver *workspacetest.Processes
	dir    string
	start  agent.Instructions
}

const id = "kept"

// setup makes the place; nodes are those that the run's agent has of a cluster.
func setup(t *testing.T, nodes ...string) *place {
	t.Helper()
	dir := t.TempDir()
	file, err := azmlProgram()
	require.NoError(t, err)
	p := &place{driver: &workspacetest.Processes{}, dir: dir}
	opts := workspacetest.Options(dir)
	opts.Computes, opts.Program = []backend.ComputeDriver{p.driver}, file
	ws, err := workspace.Open(t.Context(), filepath.Join(dir, "ws"), opts)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		require.NoError(t, ws.Close(ctx))
	})
	_, err = ws.Compute().Create(t.Context(), "apart", process.Target{Dir: filepath.Join(dir, "jobs"), CacheDir: filepath.Join(dir, "far")}, nil)
	require.NoError(t, err)
	_, err = ws.Experiments().CreateOrUpdate(t.Context(), "e", nil)
	require.NoError(t, err)
	p.h = workspace.Handle(ws)
	a, token := keeper.NewAgent()
	a.Nodes = nodes
	r := record.Run{ID: id, Experiment: "e", Status: record.Queued, Agent: a, Definition: &record.Definition{Command: []string{"true"}, Compute: "apart", MaxStart: 600}}
	p.start = agent.Instructions{RunID: id, Job: a.Job, Token: token}
	if len(nodes) == 0 {
		me := p.h.Owner()
		r.Status, r.Owner, p.start.Owner, p.start.Job = record.Starting, &me, me.ID, ""
	}
	_, err = history.Create(t.Context(), p.h, r)
	require.NoError(t, err)
	return p
}

func (p *place) run(t *testing.T) record.Run {
	t.Helper()
	stored, err := history.Get(t.Context(), p.h, id)
	require.NoError(t, err)
	return stored.Value
}

func (p *place) update(t *testing.T, change func(r *record.Run)) {
	t.Helper()
	_, err := history.Update(t.Context(), p.h, id, core.Quiet, func(r *record.Run) error { change(r); return nil })
	require.NoError(t, err)
}

// adopted is what the record says when the agent of the job, on another machine, has
// the run.
func adopted(job string) func(*record.Run) {
	return func(r *record.Run) {
		r.Owner = &record.Owner{ID: "agent", Host: "elsewhere", PID: 1}
		a := *r.Agent
		a.Job, a.Adopted = job, true
		r.Agent = &a
	}
}

// requireNothing checks that the target knows no job any more, and nobody a lock.
func (p *place) requireNothing(t *testing.T) {
	t.Helper()
	for _, pattern := range []string{"jobs/agent-*", "cache/keepers/*/*"} {
		left, err := filepath.Glob(filepath.Join(p.dir, filepath.FromSlash(pattern)))
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

// TestBeforeItIsAdopted is how runs go on that have an agent which never has them: of a
// queue, those that lost their nodes are Queued again, and no run is taken from an
// agent that has it.
func TestBeforeItIsAdopted(t *testing.T) {
	t.Parallel()
	unavailable := func(_ *testing.T, _ *place, job backend.Job) (backend.Job, error) { return job, azml.ErrUnavailable }
	script := func(text string) func(*testing.T, *place, backend.Job) (backend.Job, error) {
		return func(_ *testing.T, _ *place, job backend.Job) (backend.Job, error) { return instead(job, text), nil }
	}
	for name, c := range map[string]struct {
		alone  bool // the run is of no queue
		before func(t *testing.T, p *place)
		start  func(t *testing.T, p *place, job backend.Job) (backend.Job, error)
		status record.Status
		reason string
		agent  string // the job that the run has then, empty when it has none, * for its own
		class  error
	}{
		"its node does not answer":                      {start: unavailable, status: record.Queued, reason: "it waits for nodes anew: the agent could not be started on apart"},
		"its machine does not answer":                   {alone: true, start: unavailable, status: record.Failed, reason: "could not be started", agent: "*", class: azml.ErrUnavailable},
		"its node is lost":                              {start: script("kill -9 $$"), status: record.Queued, reason: "it waits for nodes anew: its agent on node apart/0 of apart was killed by signal 9"},
		"its machine is lost":                           {alone: true, start: script("kill -9 $$"), status: record.Failed, reason: "its agent on apart was killed by signal 9", agent: "*"},
		"its agent is asked to end":                     {start: script("exit 130"), status: record.Queued, reason: "ended with exit code 130"},
		"its agent fails":                               {start: script("echo why; exit 3"), status: record.Failed, reason: "its agent on node apart/0 of apart ended with exit code 3: why", agent: "*"},
		"its node refuses":                              {start: func(_ *testing.T, _ *place, job backend.Job) (backend.Job, error) { return job, azml.ErrDenied }, status: record.Failed, reason: "denied", agent: "*", class: azml.ErrDenied},
		"it is canceled":                                {before: cancel, start: script("exit 1"), status: record.Canceled, reason: "before it began", agent: "*"},
		"it lost its nodes ten times":                   {before: tenTimes, start: unavailable, status: record.Failed, reason: "could not be started", agent: "*", class: azml.ErrUnavailable},
		"it is given another agent":                     {start: givenAway("exit 1", nil), status: record.Queued, agent: "agent-other", class: azml.ErrConflict},
		"its agent has it and the keeper does not know": {start: givenAway("", azml.ErrUnavailable), status: record.Queued, agent: "agent-other"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := []string{"apart/0"}
			if c.alone {
				nodes = nil
			}
			p := setup(t, nodes...)
			if c.before != nil {
				c.before(t, p)
			}
			own := p.run(t).Agent.Job
			p.driver.Start = func(ctx context.Context, target backend.OpenedCompute, job backend.Job) error {
				job, err := c.start(t, p, job)
				if err != nil {
					return err
				}
				return target.Start(ctx, job)
			}
			start := keeper.Start
			if !c.alone {
				start = func(ctx context.Context, h core.Handle, i agent.Instructions) error {
					return keeper.StartOn(ctx, h, i, nil, nil)
				}
			}
			require.ErrorIs(t, start(t.Context(), p.h, p.start), c.class)
			r := p.run(t)
			require.Equal(t, c.status, r.Status)
			require.Contains(t, r.Reason, c.reason)
			switch c.agent {
			case "":
				require.Nil(t, r.Agent)
				require.Nil(t, r.Owner)
			case "*":
				require.Equal(t, own, r.Agent.Job)
			default:
				require.Equal(t, c.agent, r.Agent.Job)
			}
			p.requireNothing(t)
		})
	}
}

func cancel(t *testing.T, p *place) {
	_, err := history.Transition(t.Context(), p.h, id, history.Step{To: record.CancelRequested})
	require.NoError(t, err)
}

func tenTimes(t *testing.T, p *place) {
	for range 9 {
		_, err := history.Transition(t.Context(), p.h, id, history.Step{To: record.Queued})
		require.NoError(t, err)
	}
}

// givenAway has the run be another agent's at the moment of the start.
func givenAway(script string, err error) func(*testing.T, *place, backend.Job) (backend.Job, error) {
	return func(t *testing.T, p *place, job backend.Job) (backend.Job, error) {
		p.update(t, adopted("agent-other"))
		return instead(job, script), err
	}
}

// TestOneKeeper: a run is kept by one at a time, by another one when that is gone, and
// not again when it has ended.
func TestOneKeeper(t *testing.T) {
	t.Parallel()
	p := setup(t)
	require.ErrorIs(t, keeper.Attach(t.Context(), p.h, id), azml.ErrConflict, "its submitter is about to start it")
	job := p.run(t).Agent.Job
	began := make(chan struct{})
	p.driver.Start = func(ctx context.Context, target backend.OpenedCompute, job backend.Job) error {
		p.update(t, adopted(job.ID))
		err := target.Start(ctx, instead(job, "exec sleep 1000"))
		if err == nil {
			close(began)
		}
		return err
	}
	first, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { left <- keeper.Start(first, p.h, p.start) }()
	<-began
	require.ErrorContains(t, keeper.Attach(t.Context(), p.h, id), "another process keeps the run")
	opened, err := p.driver.ComputeDriver.Open(t.Context(), backend.ComputeSource{Connection: map[string]string{"dir": filepath.Join(p.dir, "jobs")}})
	require.NoError(t, err)
	defer opened.Close()
	leave()
	require.ErrorIs(t, <-left, context.Canceled)
	require.Equal(t, record.Starting, p.run(t).Status, "the agent goes on")

	p.driver.Start = func(ctx context.Context, target backend.OpenedCompute, job backend.Job) error {
		return target.Start(ctx, instead(job, "exit 1")) // nothing can be saved
	}
	require.NoError(t, opened.Cancel(t.Context(), job, 0))
	require.NoError(t, keeper.Attach(t.Context(), p.h, id))
	r := p.run(t)
	require.Equal(t, record.Failed, r.Status)
	require.Contains(t, r.Reason, "its agent on apart was cancelled")
	p.requireNothing(t)
	require.NoError(t, keeper.Attach(t.Context(), p.h, id), "an ended run is left alone")
}

// TestOneSaves: while what a lost agent has left is saved, no other process begins to do
// that, or ends the run.
func TestOneSaves(t *testing.T) {
	t.Parallel()
	p := setup(t)
	var saves int
	p.driver.Start = func(ctx context.Context, target backend.OpenedCompute, job backend.Job) error {
		if !p.run(t).Agent.Saves {
			p.update(t, adopted(job.ID))
			return target.Start(ctx, instead(job, "kill -9 $$"))
		}
		saves++
		assert.ErrorContains(t, keeper.Attach(ctx, p.h, id), "another process keeps the run")
		return target.Start(ctx, job)
	}
	require.NoError(t, keeper.Start(t.Context(), p.h, p.start))
	r := p.run(t)
	require.Equal(t, record.Failed, r.Status)
	require.Contains(t, r.Reason, "its agent on apart was killed by signal 9")
	require.Equal(t, 1, saves)
	p.requireNothing(t)
}

// TestKilledWhileItSaves: who keeps a run after a keeper that was killed while it had saved
// what the lost agent has left forgets that agent, too, however often it is tried.
func TestKilledWhileItSaves(t *testing.T) {
	t.Parallel()
	p := setup(t)
	own := p.run(t).Agent.Job
	first, kill := context.WithCancel(t.Context())
	p.driver.Start = func(ctx context.Context, target backend.OpenedCompute, job backend.Job) error {
		switch {
		case job.ID == own:
			p.update(t, adopted(own))
			return target.Start(ctx, instead(job, "kill -9 $$"))
		case first.Err() == nil:
			defer kill()
			return target.Start(ctx, instead(job, "exit 1"))
		}
		return target.Start(ctx, job)
	}
	require.ErrorIs(t, keeper.Start(first, p.h, p.start), context.Canceled)
	require.Equal(t, own, p.run(t).Former.Job)
	require.NoError(t, keeper.Attach(t.Context(), p.h, id))
	require.Equal(t, record.Failed, p.run(t).Status)
	require.Equal(t, own, p.run(t).Former.Job)
	p.requireNothing(t)
}

// TestTaken: a keeper whose run was given another agent by somebody else, who then is gone,
// keeps that one.
func TestTaken(t *testing.T) {
	t.Parallel()
	p := setup(t)
	own := p.run(t).Agent.Job
	p.driver.Start = func(ctx context.Context, target backend.OpenedCompute, job backend.Job) error {
		if job.ID != own {
			return target.Start(ctx, job)
		}
		p.update(t, adopted("agent-other"))
		other := instead(job, "sleep 1; kill -9 $$")
		other.ID = "agent-other"
		return errors.Join(target.Start(ctx, other), target.Start(ctx, instead(job, "exit 1")))
	}
	require.NoError(t, keeper.Start(t.Context(), p.h, p.start))
	r := p.run(t)
	require.Equal(t, record.Failed, r.Status)
	require.Contains(t, r.Reason, "its agent on apart was killed by signal 9")
	p.requireNothing(t)
}

// TestSavedElsewhere: a run whose agent is about to be started by a keeper on another
// machine, to save what the lost one has left, is not lost once more.
func TestSavedElsewhere(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.update(t, func(r *record.Run) {
		adopted("agent-saves")(r)
		r.Agent.Saves = true
	})
	p.driver.Start = func(context.Context, backend.OpenedCompute, backend.Job) error {
		assert.Fail(t, "nothing is to be started")
		return azml.ErrInvalid
	}
	ended := make(chan error, 1)
	go func() { ended <- keeper.Attach(t.Context(), p.h, id) }()
	select {
	case err := <-ended:
		require.FailNow(t, "the agent is waited for", "%v", err)
	case <-time.After(2 * time.Second):
	}
	_, err := history.Transition(t.Context(), p.h, id, history.Step{To: record.Failed, Reason: "by the other keeper"})
	require.NoError(t, err)
	require.NoError(t, <-ended)
	require.Equal(t, "by the other keeper", p.run(t).Reason)
	p.requireNothing(t)
}

// TestLeftBehind: a job that its keeper could not remove, as its target did not answer until
// the keeper ended, is removed by the next one there, and none whose run goes on.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	for status, left := range map[record.Status]int{record.Completed: 0, record.Running: 1} {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			p := setup(t)
			first, leave := context.WithCancel(t.Context())
			p.driver.Start = func(ctx context.Context, target backend.OpenedCompute, job backend.Job) error {
				p.update(t, func(r *record.Run) {
					adopted(job.ID)(r)
					r.Status = status
				})
				defer leave()
				return target.Start(ctx, instead(job, "true"))
			}
			require.ErrorIs(t, keeper.Start(first, p.h, p.start), context.Canceled)

			a, token := keeper.NewAgent()
			me := p.h.Owner()
			_, err := history.Create(t.Context(), p.h, record.Run{ID: "next", Experiment: "e", Status: record.Starting, Owner: &me, Agent: a, Definition: p.run(t).Definition})
			require.NoError(t, err)
			p.driver.Start = func(ctx context.Context, target backend.OpenedCompute, job backend.Job) error {
				return target.Start(ctx, instead(job, "exit 3"))
			}
			require.NoError(t, keeper.Start(t.Context(), p.h, agent.Instructions{RunID: "next", Owner: me.ID, Token: token}))
			for _, pattern := range []string{"jobs/agent-*", "cache/keepers/*/*"} {
				found, err := filepath.Glob(filepath.Join(p.dir, filepath.FromSlash(pattern)))
				require.NoError(t, err)
				require.Len(t, found, left)
			}
		})
	}
}

// TestNobodysRun is one that no agent drives.
func TestNobodysRun(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.update(t, func(r *record.Run) { r.Agent = nil })
	require.ErrorIs(t, keeper.Attach(t.Context(), p.h, id), azml.ErrInvalid)
}
