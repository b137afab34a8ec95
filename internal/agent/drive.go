package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/mask"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/tail"
	"github.com/azml-go/azml/internal/telemetry"
)

// The names of a script run's logs.
const (
	// OutputLog is the log with what the script wrote to its standard output
	// and standard error.
	OutputLog = "user_logs/std_log.txt"
	// PrepareLog is the log of the preparation: environment and snapshot.
	PrepareLog = "system_logs/prepare.txt"
)

// finishTime bounds what is done for a run after its script has ended or its
// driver was told to stop, when no caller's context bounds it any more.
const finishTime = 5 * time.Minute

// ErrAsked is the cause with which the context of an agent ends that is asked to end,
// as happens when its machine is shut down or its node is taken away.
var ErrAsked = fmt.Errorf("%w: the agent was asked to end, as when its machine is shut down", context.Canceled)

// ExitAsked is the exit code of an agent that was asked to end and has no run yet.
const ExitAsked = 130

// errTooLong is the cause with which a script is ended at its time limit.
var errTooLong = errors.New("time limit")

// drive is one run being driven.
type drive struct {
	h       core.Handle
	run     record.Run
	held    core.Stored[record.Run] // its record as it was written last, zero when it may have changed since
	dir     string                  // the run's working folder on this machine
	env     *pythonEnv
	prepare *history.LogWriter
	output  *history.LogWriter
	tail    tail.Tail
	place   nodePlace // among the run's nodes
	ranks   []*rank   // the script's processes on this node, of the present attempt
	service *service  // of its parameter servers, nil for none
	metrics *metrics.Writer
	status  record.Status
	goesOn  bool    // the run had been running before this agent took it over
	before  fileSet // what was in outputs before the script, or is stored; nil until it starts
	// streamed is what was in logs before the script, or was streamed in earlier attempts.
	streamed fileSet

	secrets map[string]string // that the script may have, by lower-case name
	hidden  *mask.Secrets     // the same, masked in all that is stored of what it says

	bind     DataBinder
	data     *Data // nil when the run has no inputs and outputs
	track    Tracker
	tracking *Tracking         // nil when the script is served with nothing
	tracked  map[string]uint64 // points that they have logged
	made     []string          // runs that they have made

	mu       sync.Mutex
	warnings []string

	noting sync.Mutex
	noted  bool // the record says what the run waits for
}

// Drive takes a submitted run, which this process owns, from Starting to
// its last status; stored is its record as it was just written; track serves its script, and bind
// gives it its data. It returns when the last status is written: nil
// for Completed, else an error that says how the run ended. When ctx ends, the
// script is ended and the run Canceled with the cause as its reason.
func Drive(ctx context.Context, h core.Handle, stored core.Stored[record.Run], track Tracker, bind DataBinder) (err error) {
	run := stored.Value
	defer h.Operation(&ctx, &err, "drive", "run", run.ID)()
	d := &drive{h: h, run: run, held: stored, status: run.Status, goesOn: hasRun(run), dir: WorkDir(h, run.ID), track: track, bind: bind, place: ownPlace()}
	running, stop := context.WithCancelCause(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() {
		if err := history.Keep(running, h, run); err != nil {
			stop(err)
		}
	})
	outcome := d.open(ctx)
	if outcome == nil {
		keeper.Go(func() { d.metrics.Run(running) })
		outcome = d.steps(running)
	}
	if cause := context.Cause(running); cause != nil && outcome != nil {
		outcome = cause
	}
	outcome = d.collect(running, outcome)
	finishing, cancel := outlive(ctx, finishTime)
	defer cancel()
	stop(nil)
	keeper.Wait()
	defer d.seal(finishing)
	return d.finish(finishing, outcome)
}

// seal seals the metrics of the run, which has its last status: who kept it may have gone
// since, and the way to the store with them. What is not done in time is left to a garbage
// collection.
func (d *drive) seal(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, finishTime)
	defer cancel()
	history.Seal(ctx, d.h, d.run.ID)
}

// WorkDir gives the folder on this machine that the run works in.
func WorkDir(h core.Handle, id string) string {
	return filepath.Join(h.CacheDir(), "runs", h.Workspace().ID, id)
}

// requeued has a run wait for nodes anew whose agent was asked to end, as happens
// to those on nodes that are taken away.
func (d *drive) requeued(ctx context.Context, outcome error) bool {
	if !d.mayRequeue() || !errors.Is(outcome, context.Canceled) {
		return false
	}
	step := history.Step{To: record.Queued, Reason: "it waits for nodes anew: its agent was asked to end", Owner: d.h.Owner().ID, Change: func(r *record.Run) {
		r.Requeue()
		r.Warnings = append(r.Warnings, d.warnings...)
	}}
	return persist(ctx, d.waits, func(ctx context.Context) error {
		_, err := history.Transition(ctx, d.h, d.run.ID, step)
		return err
	}) == nil
}

// cancelRequested tells whether somebody wants the run canceled, which whoever ends
// this process may have done first.
func (d *drive) cancelRequested(ctx context.Context) (wanted bool) {
	_ = persist(ctx, d.waits, func(ctx context.Context) error {
		stored, err := history.Get(ctx, d.h, d.run.ID)
		wanted = err == nil && stored.Value.Status == record.CancelRequested
		return err
	})
	return wanted
}

// left has the keeper end a run whose agent was asked to end although nobody wanted the
// run canceled: its target knows why, such as that a pod was evicted.
func (d *drive) left(ctx context.Context, outcome error) bool {
	if !d.run.Remote() || d.place.count > 1 || !errors.Is(outcome, context.Canceled) {
		return false
	}
	return persist(ctx, d.waits, func(ctx context.Context) error {
		_, err := history.Update(ctx, d.h, d.run.ID, core.Quiet, func(r *record.Run) error {
			if !r.Remote() || r.Status == record.CancelRequested || r.Owner == nil || r.Owner.ID != d.h.Owner().ID {
				return fmt.Errorf("%w: the run is %s", azml.ErrConflict, r.Status)
			}
			r.Agent.Left = true
			r.Warnings = append(r.Warnings, d.warnings...)
			return nil
		})
		return err
	}) == nil
}

// steps prepares the run and runs its command.
func (d *drive) steps(ctx context.Context) error {
	if err := d.prepareInTime(ctx); err != nil {
		return err
	}
	return d.execute(ctx)
}

// prepareInTime prepares the run within the time that it may take.
func (d *drive) prepareInTime(ctx context.Context) error {
	limit := time.Duration(d.run.Definition.MaxPrepare) * time.Second
	if limit == 0 {
		return d.preparing(ctx)
	}
	limited, cancel := context.WithTimeoutCause(ctx, limit, errTooLong)
	defer cancel()
	err := d.preparing(limited)
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(limited), errTooLong) {
		return d.systemError(fmt.Errorf("the preparation was given up after its time limit of %s: %w", limit, err))
	}
	return err
}

// preparing prepares the run while its record is told so: mostly all is there
// already, and takes less time than the record.
func (d *drive) preparing(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	d.status = record.Preparing
	var entered core.Stored[record.Run]
	var refused error
	var entering sync.WaitGroup
	entering.Go(func() {
		reason := "making the environment " + d.run.Definition.Environment.Name + " ready (a new one takes a while the first time)"
		if entered, refused = d.transition(ctx, d.held, record.Preparing, reason); refused != nil {
			stop(refused)
		}
	})
	err := d.readSecrets(ctx)
	if err != nil {
		err = d.systemError(err)
	} else {
		err = d.prepareAll(ctx)
	}
	entering.Wait()
	if refused != nil {
		return refused
	}
	d.entered(ctx, entered)
	if d.data != nil {
		d.held = core.Stored[record.Run]{} // it was told of the data meanwhile
	}
	return err
}

// open makes the working folder and opens logs and metrics.
func (d *drive) open(ctx context.Context) error { return d.openAs(ctx, PrepareLog, OutputLog) }

// openAs is open with logs of these names.
func (d *drive) openAs(ctx context.Context, prepare, output string) (err error) {
	if err := d.removeLeft(); err != nil {
		return err
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	var opening errgroup.Group
	opening.Go(func() (err error) {
		d.prepare, err = history.NewLogWriter(ctx, d.h, history.LogKey(d.run, prepare))
		return err
	})
	opening.Go(func() (err error) {
		d.output, err = history.NewLogWriter(ctx, d.h, history.LogKey(d.run, output))
		return err
	})
	if err := opening.Wait(); err != nil {
		return err
	}
	d.metrics, err = d.newWriter(0)
	return err
}

// removeLeft removes what an earlier agent of the run has left on this machine, when that was
// cut off: the run has gone on since from what was stored, elsewhere or before, and what is
// here can't be told from what that has made.
func (d *drive) removeLeft() error {
	if _, err := os.Stat(d.metricsFile(0) + marker); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return os.RemoveAll(d.dir)
}

// enter moves the run to its next status.
func (d *drive) enter(ctx context.Context, to record.Status, reason string) error {
	stored, err := d.transition(ctx, d.held, to, reason)
	if err == nil {
		d.entered(ctx, stored)
	}
	return err
}

// transition writes the run's next status into its record as it is held, or, with the zero
// Stored, as it is then, and waits for a store that does not answer.
func (d *drive) transition(ctx context.Context, held core.Stored[record.Run], to record.Status, reason string) (core.Stored[record.Run], error) {
	var stored core.Stored[record.Run]
	waited := false
	waits := func(err error) {
		waited = true
		d.waits(err)
	}
	err := persist(ctx, waits, func(ctx context.Context) (err error) {
		stored, err = history.Transition(ctx, d.h, d.run.ID, history.Step{To: to, From: held, Reason: reason, Owner: d.h.Owner().ID})
		return err
	})
	if waited {
		d.waitsNoMore()
	}
	if err == nil {
		return stored, nil
	}
	current, getErr := history.Get(ctx, d.h, d.run.ID)
	switch now := current.Value; {
	case getErr != nil:
	case now.Status == record.CancelRequested:
		return stored, history.ErrCancelRequested
	case waited && now.Status == to && now.Owner != nil && now.Owner.ID == d.h.Owner().ID:
		return current, nil // the answer to one of the tries was lost
	}
	return stored, d.systemError(err)
}

// entered notes the status that the run has now.
func (d *drive) entered(ctx context.Context, stored core.Stored[record.Run]) {
	d.run, d.held, d.status = stored.Value, stored, stored.Value.Status
	telemetry.Event(ctx, "run "+string(d.status))
}

// warn keeps a warning for the run's record.
func (d *drive) warn(format string, args ...any) {
	const most = 20
	d.mu.Lock()
	defer d.mu.Unlock()
	text := d.hidden.Text(fmt.Sprintf(format, args...))
	if len(d.warnings) < most && !slices.Contains(d.warnings, text) {
		d.warnings = append(d.warnings, text)
	}
}

// finish writes the last status, unless the run was taken from us.
func (d *drive) finish(ctx context.Context, outcome error) error {
	if errors.Is(outcome, history.ErrTaken) {
		d.clean(ctx)
		return outcome
	}
	if d.requeued(ctx, outcome) {
		d.clean(ctx)
		return outcome
	}
	if d.left(ctx, outcome) {
		d.endMade(ctx)
		d.clean(ctx)
		return outcome
	}
	if errors.Is(outcome, context.Canceled) && d.cancelRequested(ctx) {
		outcome = history.ErrCancelRequested
	}
	step, runErr := d.lastStep(outcome)
	step.Reason = d.hidden.Text(step.Reason)
	step.Owner = d.h.Owner().ID
	step.Points = maps.Clone(d.tracked)
	for _, w := range d.writers() {
		if w.Stored() == 0 {
			continue
		}
		if step.Points == nil {
			step.Points = map[string]uint64{}
		}
		step.Points[w.ID()] = w.Stored()
	}
	step.Change = func(r *record.Run) {
		if r.Error = runErr; runErr != nil {
			runErr.Message = d.hidden.Text(runErr.Message)
		}
		r.Warnings = append(r.Warnings, d.warnings...)
	}
	err := persist(ctx, d.waits, func(ctx context.Context) error {
		_, err := history.Transition(ctx, d.h, d.run.ID, step)
		return err
	})
	if err != nil && !overAnyway(err) {
		return errors.Join(outcome, fmt.Errorf("the run could not be ended, and what it has left stays in %s for whoever ends it: %w", d.dir, err))
	}
	d.endMade(ctx)
	d.clean(ctx)
	return errors.Join(outcome, err)
}

// overAnyway tells whether a run whose end we could not write is ended, or not there. Any other
// error, such as a credential that has expired, says nothing of that.
func overAnyway(err error) bool {
	return errors.Is(err, azml.ErrConflict) || errors.Is(err, azml.ErrNotFound)
}

// lastStep says how the run ends.
func (d *drive) lastStep(outcome error) (history.Step, *record.RunError) {
	var f *failure
	switch {
	case outcome == nil:
		return history.Step{To: record.Completed}, nil
	case errors.Is(outcome, history.ErrCancelRequested):
		return history.Step{To: record.Canceled, Reason: "canceled on request"}, nil
	case d.place.count > 1 && errors.Is(outcome, context.Canceled):
		e := d.systemError(errors.New("another node of the run was lost, or its agents were ended"))
		return history.Step{To: record.Failed, Reason: e.RunError.Message}, &e.RunError
	case errors.Is(outcome, ErrAsked):
		e := d.systemError(errors.New("its agent was asked to end, as when its machine is shut down"))
		return history.Step{To: record.Failed, Reason: e.RunError.Message}, &e.RunError
	case errors.Is(outcome, azml.ErrClosed), errors.Is(outcome, context.Canceled):
		return history.Step{To: record.Canceled, Reason: "the submitting program ended: " + outcome.Error()}, nil
	case errors.As(outcome, &f):
		return history.Step{To: record.Failed, Reason: f.RunError.Message}, &f.RunError
	}
	e := d.systemError(outcome)
	return history.Step{To: record.Failed, Reason: e.RunError.Message}, &e.RunError
}

// clean forgets the job and removes the working folder.
func (d *drive) clean(ctx context.Context) {
	for _, job := range d.jobs() {
		if err := d.h.Local().Remove(ctx, job); err != nil && !errors.Is(err, azml.ErrNotFound) {
			d.h.Logger().Warn("a finished job could not be removed", "job", job, "error", err)
		}
	}
	if err := errors.Join(d.closeData(), os.RemoveAll(d.dir)); err != nil {
		d.h.Logger().Warn("a run's working folder could not be removed", "folder", d.dir, "error", err)
	}
}
