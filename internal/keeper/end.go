package keeper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/pause"
	"github.com/azml-go/azml/internal/record"
)

const (
	// lookEvery is the time between two looks for a cancel or a deadline.
	lookEvery = 2 * time.Second
	// forceAfter is what an agent has, beyond the script's own grace period, to
	// carry out a cancel.
	forceAfter = time.Minute
	// agentGrace is what an agent has to end when it is asked to by the target.
	agentGrace = 30 * time.Second
	// endTime is for how long it is tried to end an agent by its target.
	endTime = agentGrace + forceAfter
)

// force ends an agent that does not do what it should: one that does not carry out
// a cancel, or has not taken the run over in time. Errors: those of stuck.
func (k *keeper) force(ctx context.Context, job string) error {
	var began time.Time // the first try
	for pause.For(ctx, lookEvery) {
		stored, err := history.Get(ctx, k.h, k.run.ID)
		if err == nil && stored.Value.Status == record.CancelRequested && k.asked.IsZero() {
			k.asked = k.h.Now()
		}
		if err != nil || !k.keeps(stored.Value) || !k.overdue(stored.Value) {
			continue
		}
		if began.IsZero() {
			began = time.Now()
		}
		ending, enough := context.WithTimeout(ctx, endTime)
		err = k.target.Cancel(ending, job, agentGrace)
		enough()
		if err == nil || ctx.Err() != nil {
			return nil
		}
		k.h.Logger().Warn("an agent that does not end could not be ended", "run", k.run.ID, "error", err)
		if time.Since(began) >= endTime {
			if err := k.stuck(ctx, stored.Value, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// stuck gives up a run whose agent can't be ended, as where a disk hangs or an engine does not
// answer: one that is to be canceled is, with that reason. Errors: ErrUnavailable when
// nothing is to be waited for on the agent's nodes: others wait for them, and a scheduler
// finds out what is left there. So it is with an agent that never had its run, which is
// of a queue: that is better off with another one.
func (k *keeper) stuck(ctx context.Context, r record.Run, cause error) error {
	switch {
	case r.Owner == nil:
		return fmt.Errorf("%w: the job %s, which has not taken its run, can't be ended: %w", azml.ErrUnavailable, r.Agent.Job, cause)
	case r.Status != record.CancelRequested:
		return nil
	}
	where := cmp.Or(strings.Join(r.Agent.Nodes, ", "), r.Definition.Compute)
	reason := fmt.Sprintf("canceled on request; its processes on %s could not be ended: %v", where, cause)
	_, err := history.Transition(ctx, k.h, r.ID, history.Step{To: record.Canceled, Reason: reason, Agent: r.Agent.Job})
	if err != nil { // its agent was faster, or the next try tells
		k.h.Logger().Warn("a run could not be marked as canceled", "run", r.ID, "error", err)
		return nil
	}
	history.SealLater(k.h, r.ID)
	if len(r.Agent.Nodes) > 0 {
		return fmt.Errorf("%w: the job %s can't be ended: %w", azml.ErrUnavailable, r.Agent.Job, cause)
	}
	return nil
}

// overdue tells whether the agent had its time, which the making of its image does
// not count to. It goes by this machine's clock alone: those of others, whose times
// the record has, may be an hour off.
func (k *keeper) overdue(r record.Run) bool {
	now := k.h.Now()
	switch {
	case r.Status == record.CancelRequested && !r.Agent.Adopted:
		return true
	case r.Status == record.CancelRequested:
		return now.Sub(k.asked) > time.Duration(r.Definition.GracePeriod*float64(time.Second))+forceAfter
	case (r.Status == record.Starting || r.Status == record.Queued) && !r.Agent.Adopted && r.Definition.MaxStart > 0:
		return now.Sub(k.launched) > time.Duration(r.Definition.MaxStart)*time.Second
	}
	return false
}

// settle ends a run whose agent has ended without doing it: by an agent that saves
// on the target what the first has left, and where that fails, from here.
func (k *keeper) settle(ctx context.Context, status backend.JobStatus) error {
	stored, err := k.read(ctx)
	switch now := stored.Value; {
	case err != nil || now.Status.Terminal():
		return err
	case !k.keeps(now) && over(now):
		return nil
	case !k.keeps(now):
		return errTaken
	}
	k.run = stored.Value
	if k.run.Status == record.CancelRequested && !k.run.Agent.Adopted {
		return k.canceled(ctx)
	}
	reason := k.reason(ctx, status)
	if k.run.Owner == nil && k.spare != nil { // a new agent will have it
		return fmt.Errorf("%w: %s", azml.ErrUnavailable, reason)
	}
	if k.run.Owner == nil { // of a queue: no agent has had it
		_, err := k.neverBegan(ctx, reason, lost(status) && !k.overdue(k.run))
		return err
	}
	if k.run.Agent.Adopted && !k.run.Agent.Left {
		if err := k.salvageAll(ctx, reason); err != nil {
			return err
		}
	}
	if err := agent.Finish(ctx, k.h, k.run.ID, false, reason); err != nil && !errors.Is(err, azml.ErrNotFound) {
		return err
	}
	return nil
}

// mostTries is how often in a row a run of a queue loses its nodes before it has begun,
// until that is no accident any more.
const mostTries = 10

// lost tells whether the agent ended for what became of its machine, and not by itself.
func lost(s backend.JobStatus) bool {
	return s.State != backend.JobExited || s.ExitCode == agent.ExitAsked
}

// neverBegan ends what there was of a run of a queue whose agent never had it: with
// lost nodes it waits for others, else it has Failed. An agent that has it after all
// keeps it.
func (k *keeper) neverBegan(ctx context.Context, reason string, lost bool) (anew bool, err error) {
	step := history.Step{To: record.Failed, Reason: reason, Agent: k.run.Agent.Job, Unowned: true, Change: func(r *record.Run) {
		r.Error = &record.RunError{Code: "SystemError", Message: reason, Phase: string(record.Queued)}
	}}
	if try := k.run.Try(); lost && try < mostTries {
		anew = true
		step.To, step.Reason = record.Queued, fmt.Sprintf("it waits for nodes anew: %s; try %d of %d follows after %s", reason, try+1, mostTries, record.TryPause(try+1))
		step.Change = (*record.Run).Requeue
	}
	_, err = history.Transition(ctx, k.h, k.run.ID, step)
	if errors.Is(err, azml.ErrConflict) { // somebody was faster, who may want it canceled
		stored, getErr := history.Get(ctx, k.h, k.run.ID)
		if getErr == nil && stored.Value.Status == record.CancelRequested && stored.Value.Owner == nil && k.keeps(stored.Value) {
			return false, k.canceled(ctx)
		}
		err = nil
	}
	return anew, err
}

// keeps tells whether the run is still that of the agent that is kept: a scheduler
// may have given it to another one.
func (k *keeper) keeps(r record.Run) bool { return r.Agent != nil && r.Agent.Job == k.run.Agent.Job }

// canceled ends a run that was canceled before its agent had it.
func (k *keeper) canceled(ctx context.Context) error {
	_, err := history.Transition(ctx, k.h, k.run.ID, history.Step{To: record.Canceled, Reason: "canceled on request, before it began"})
	return err
}

// read reads the run's record and waits for a store that doesn't answer.
func (k *keeper) read(ctx context.Context) (core.Stored[record.Run], error) {
	for {
		stored, err := history.Get(ctx, k.h, k.run.ID)
		if !errors.Is(err, azml.ErrUnavailable) || !pause.For(ctx, tryEvery) {
			return stored, err
		}
	}
}

// reason says in words why the run has no agent any more.
func (k *keeper) reason(ctx context.Context, status backend.JobStatus) string {
	reason := fmt.Sprintf("its agent on %s ", k.place(status.Node))
	switch {
	case !k.run.Agent.Adopted && k.overdue(k.run):
		reason += fmt.Sprintf("did not begin within %s", time.Duration(k.run.Definition.MaxStart)*time.Second)
	case k.run.Agent.Left && (status.State == backend.JobExited || byInterrupt(status)):
		return reason + "was asked to end by it"
	case status.State == backend.JobExited:
		reason += fmt.Sprintf("ended with exit code %d", status.ExitCode)
	case status.State == backend.JobKilled:
		how := strings.TrimPrefix(status.Reason, fmt.Sprintf("node %d: ", status.Node)) // it was named
		reason += "was " + strings.TrimPrefix(how, "was ")
	default:
		reason += "is gone: " + status.Reason
	}
	if words := k.lastWords(ctx, status); words != "" {
		reason += ": " + words
	}
	return reason
}

// place names the node of the run's target, from 0, as a cluster names its nodes.
func (k *keeper) place(node int) string {
	target := k.run.Definition.Compute
	switch names := k.run.Agent.Nodes; {
	case node < len(names):
		return fmt.Sprintf("node %s of %s", names[node], target)
	case k.run.Definition.Nodes > 1:
		return fmt.Sprintf("node %d of %s", node, target)
	}
	return target
}

// byInterrupt tells whether the job ended by an interrupt, which is also what targets with
// containers make of agent.ExitAsked.
func byInterrupt(s backend.JobStatus) bool {
	return s.State == backend.JobKilled && strings.HasPrefix(s.Reason, fmt.Sprintf("killed by signal %d ", agent.ExitAsked-128))
}

// lastWords gives the end of what the agent has said that the status tells of.
func (k *keeper) lastWords(ctx context.Context, of backend.JobStatus) string {
	output, err := k.target.Output(ctx, of.ID, &backend.OutputOptions{Node: of.Node})
	if err != nil {
		return ""
	}
	defer output.Close()
	const most = 1 << 20
	text, err := io.ReadAll(io.LimitReader(output, most))
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	const longest = 500
	last := strings.ToValidUTF8(lines[len(lines)-1], "")
	return last[:min(len(last), longest)]
}
