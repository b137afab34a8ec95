package experiment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/keeper"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/telemetry"
)

// way is how a run gets going: by whom, and where.
type way struct {
	detach bool
	token  string // of the agent on another machine
	remote bool
	queued bool // by a cluster's scheduler
}

// wayTo looks for what the run needs to get going, before anything is stored.
func (e *Experiment) wayTo(ctx context.Context, target *compute.Target, detach bool, limits backend.Limits) (way, *record.Agent, error) {
	w := way{detach: detach, remote: target.Type() != compute.TypeLocal}
	if target.Type() == compute.TypeCluster {
		return way{remote: true, queued: true}, nil, compute.CheckQueue(ctx, e.h, target.Name())
	}
	if detach {
		if e.h.Location() == "" {
			return w, nil, fmt.Errorf("%w: a run that outlives this process is driven by another one, which must be able to open the workspace: say where it is by Config.Location", azml.ErrUnsupported)
		}
		if _, err := compute.ProgramHere(ctx, e.h); err != nil {
			return w, nil, err
		}
	}
	if !w.remote {
		if limits != (backend.Limits{}) {
			return w, nil, fmt.Errorf("%w: compute target %s is this machine itself, which holds no run to limits: leave them out, or name a target that runs containers", azml.ErrUnsupported, target.Name())
		}
		return w, nil, nil
	}
	opened, err := compute.Open(ctx, target)
	if err != nil {
		return w, nil, err
	}
	if err := errors.Join(keeper.Ready(ctx, e.h, opened, limits), opened.Close()); err != nil {
		return w, nil, fmt.Errorf("compute target %s: %w", target.Name(), err)
	}
	a, token := keeper.NewAgent()
	w.token = token
	return w, a, nil
}

// launch gets the run going. It returns when somebody else answers for it, or a
// task of this process does.
func (e *Experiment) launch(ctx context.Context, w way, run core.Stored[record.Run]) error {
	id := run.Value.ID
	i := agent.Instructions{RunID: id, Owner: e.h.Owner().ID, Token: w.token, Who: e.h.Who()}
	switch {
	case w.detach:
		return e.handOver(ctx, w, i)
	case w.remote:
		return e.h.Go(func(own context.Context) { e.keep(telemetry.Adopt(own, ctx), i) })
	}
	return e.h.Go(func(own context.Context) { e.drive(telemetry.Adopt(own, ctx), run) })
}

// cancelTime is what a run on another machine has to end when the workspace is
// closed under it.
const cancelTime = 2 * time.Minute

// keep keeps a run on another machine until its end. When the workspace is closed
// and waits no longer, the run is canceled.
func (e *Experiment) keep(ctx context.Context, i agent.Instructions) {
	err := keeper.Start(ctx, e.h, i)
	if ctx.Err() != nil {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
		defer cancel()
		_, err = history.Transition(ending, e.h, i.RunID, history.Step{To: record.CancelRequested, Reason: "the submitting program ended"})
		if err == nil {
			err = keeper.Attach(ending, e.h, i.RunID)
		}
	}
	if err != nil {
		e.h.Logger().Info("a run was not kept to its end", "run", i.RunID, "error", err)
	}
}

// handOver starts a process of this machine that outlives this one, and returns when
// the run's agent answers for it: the process itself, or for a run elsewhere the
// agent that it starts there.
func (e *Experiment) handOver(ctx context.Context, w way, i agent.Instructions) error {
	program, err := compute.ProgramHere(ctx, e.h)
	if err != nil {
		return err
	}
	i.Location, i.SecretsKeyFile, i.CacheDir = e.h.Location(), e.h.SecretsKeyFile(), e.h.CacheDir()
	input, err := i.Encode()
	if err != nil {
		return err
	}
	e.forgetOld(ctx)
	what := agentJob
	if w.remote {
		what = keeperJob
	}
	job := backend.Job{ID: what + "-" + core.NewID(8), Command: []string{program, what}, Dir: "/", Env: ownVariables(), Input: input}
	if err := e.h.Local().Start(ctx, job); err != nil {
		return fmt.Errorf("start the %s of the run: %w", what, err)
	}
	return e.awaitHandOver(ctx, i, job.ID)
}

// The jobs of this machine that runs are handed over to, by what their IDs begin with.
const (
	agentJob  = "agent"
	keeperJob = "keeper"
)

// wordsKept is how long what such a job has said is kept after its end, for who wants
// to know what went wrong. Nobody is there to remove it then: the next of them does.
const wordsKept = time.Hour

// forgetOld removes what ended jobs have left.
func (e *Experiment) forgetOld(ctx context.Context) {
	for job, err := range e.h.Local().List(ctx) {
		if err != nil {
			e.h.Logger().Warn("what old jobs have left could not be looked for", "error", err)
			return
		}
		kind, _, _ := strings.Cut(job.ID, "-")
		ended := job.Ended
		if ended.IsZero() { // it was lost
			ended = job.Started
		}
		if kind != agentJob && kind != keeperJob || job.State == backend.JobRunning || time.Since(ended) < wordsKept {
			continue
		}
		if err := e.h.Local().Remove(ctx, job.ID); err != nil && !errors.Is(err, azml.ErrNotFound) {
			e.h.Logger().Warn("what an old job has left could not be removed", "job", job.ID, "error", err)
		}
	}
}

// ownVariables gives this process's own variables: what it starts here is to find
// the same stores and credentials.
func ownVariables() map[string]string {
	env := map[string]string{}
	for _, pair := range os.Environ() {
		if name, value, ok := strings.Cut(pair, "="); ok && name != "" {
			env[name] = value
		}
	}
	return env
}

// awaitHandOver looks at the record until the run is another's, or the process that
// was started has ended.
func (e *Experiment) awaitHandOver(ctx context.Context, i agent.Instructions, job string) error {
	const first, last = 2 * time.Millisecond, 100 * time.Millisecond
	for pause := first; ; pause = min(pause*3/2, last) {
		status, statusErr := e.h.Local().Status(ctx, job)
		stored, err := history.Get(ctx, e.h, i.RunID)
		switch {
		case err == nil && handedOver(stored.Value, i.Owner):
			return nil
		case err == nil && stored.Value.Status == record.Failed:
			return fmt.Errorf("%w: %s", azml.ErrFailed, stored.Value.Reason)
		case statusErr == nil && status.State != backend.JobRunning:
			return fmt.Errorf("%w: the process that was to drive the run ended: %s", azml.ErrFailed, e.lastWords(ctx, job, status))
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), e.h.Local().Cancel(context.WithoutCancel(ctx), job, time.Second))
		}
	}
}

// handedOver tells whether the run is another's now, or was until it ended.
func handedOver(r record.Run, from string) bool {
	switch {
	case r.Status == record.Completed || r.Status == record.Canceled:
		return true
	case r.Owner != nil:
		return r.Owner.ID != from
	}
	return r.Status != record.Failed || slices.ContainsFunc(r.History, func(t record.Transition) bool { return t.Status == record.Preparing })
}

// lastWords gives what an ended process said last.
func (e *Experiment) lastWords(ctx context.Context, job string, status backend.JobStatus) string {
	output, err := e.h.Local().Output(ctx, job, &backend.OutputOptions{})
	if err != nil {
		return status.Reason
	}
	defer output.Close()
	const most = 64 << 10
	text, _ := io.ReadAll(io.LimitReader(output, most)) // what can be read says more than nothing
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.TrimSpace(status.Reason + " " + lines[len(lines)-1])
}

// notLaunched ends the record of a run that did not get going.
func (e *Experiment) notLaunched(ctx context.Context, id string, cause error) error {
	_, err := history.Transition(context.WithoutCancel(ctx), e.h, id, history.Step{To: record.Failed, Reason: cause.Error(), Owner: e.h.Owner().ID})
	if errors.Is(err, azml.ErrConflict) { // it has ended, and says why
		err = nil
	}
	return errors.Join(cause, err)
}
