package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
)

// Reap looks whether the process that answers for the run is still there, and
// gives the run as it is then. A run whose process is known to have ended is
// Failed with that reason, after what the process left on this machine was
// saved; a run that was silent for long is NotResponding, and later Failed.
// Of several that notice at once, one acts. Runs that have ended, that this
// process drives, that go on in another workspace, or that can't be changed by us
// are given as they are.
func Reap(ctx context.Context, h core.Handle, run core.Stored[record.Run]) (core.Stored[record.Run], error) {
	r := run.Value
	if r.Elsewhere() {
		return run, nil
	}
	if r.MadeIn != "" && r.Owner == nil && !r.Status.Terminal() {
		return endWith(ctx, h, run)
	}
	if r.Status.Terminal() || r.Owner == nil || r.Owner.ID == h.Owner().ID {
		return run, nil
	}
	if !r.Remote() && h.Gone(r.Owner) {
		return bury(ctx, h, run, true, fmt.Sprintf("the process that drove the run (pid %d on %s) ended without finishing it", r.Owner.PID, r.Owner.Host))
	}
	silence, err := history.Silence(ctx, h, r)
	switch {
	case errors.Is(err, azml.ErrDenied), errors.Is(err, azml.ErrUnsupported):
		return run, nil // a reader who may not write leaves it to others
	case err != nil:
		return run, err
	case silence >= failAfter(r):
		return bury(ctx, h, run, r.Owner.Host == h.Owner().Host, fmt.Sprintf("nothing was heard from the process that drove the run (pid %d on %s) for %s",
			r.Owner.PID, r.Owner.Host, silence.Round(time.Second)))
	case silence >= history.SilentAfter && r.Status != record.NotResponding && r.Status != record.CancelRequested:
		// A cancel stays to be seen: its process may come back and must find it.
		return settle(ctx, h, r.ID, history.Step{To: record.NotResponding, Owner: r.Owner.ID,
			Reason: fmt.Sprintf("no heartbeat for %s", silence.Round(time.Second))})
	}
	return run, nil
}

// failAfter is the silence after which a run counts as lost. An agent elsewhere
// works on while its way to the workspace is cut, for a night when a laptop is
// closed; whoever keeps it asks its target, and knows at once when it is gone.
func failAfter(r record.Run) time.Duration {
	if r.Remote() && !r.Agent.Left {
		return history.RemoteFailAfter
	}
	return history.FailAfter
}

// settle takes the step, or gives the run as it is when somebody else was
// faster.
func settle(ctx context.Context, h core.Handle, id string, step history.Step) (core.Stored[record.Run], error) {
	run, err := history.Transition(ctx, h, id, step)
	if errors.Is(err, azml.ErrConflict) {
		return history.Get(ctx, h, id)
	}
	return run, err
}

// bury takes the run over, saves what its process left, which with here is on this
// machine, and marks it Failed. If we end in the middle, the next one to notice begins
// again: the run then has us as its lost owner, under an ID of this burial, so
// that it is not taken for one that this process drives.
func bury(ctx context.Context, h core.Handle, run core.Stored[record.Run], here bool, reason string) (_ core.Stored[record.Run], err error) {
	id, phase, lost := run.Value.ID, run.Value.Status, *run.Value.Owner
	me := h.Owner()
	me.ID = core.NewID(8)
	claim := history.Step{To: record.NotResponding, Reason: reason, Owner: lost.ID, Change: func(r *record.Run) { r.Owner = &me }}
	// Before the claim: who sees the claim must not find us silent.
	if err := history.Beat(ctx, h, run.Value); err != nil {
		return run, err
	}
	if run.Value.Status == record.NotResponding {
		_, err = history.Update(ctx, h, id, core.Quiet, func(r *record.Run) error {
			if r.Owner == nil || r.Owner.ID != lost.ID || r.Status != record.NotResponding {
				return fmt.Errorf("%w: another process takes care of it", azml.ErrConflict)
			}
			claim.Change(r)
			return nil
		})
	} else {
		_, err = history.Transition(ctx, h, id, claim)
	}
	if errors.Is(err, azml.ErrConflict) {
		return history.Get(ctx, h, id)
	}
	if err != nil {
		return run, err
	}
	defer func() {
		if err != nil {
			giveBack(ctx, h, id, me.ID, lost)
		}
	}()
	s := &salvage{drive: drive{h: h, run: run.Value, dir: WorkDir(h, id), status: phase}}
	if err := s.save(ctx, here); err != nil {
		return run, err
	}
	if a := run.Value.Agent; a != nil && a.Requeue && phase != record.CancelRequested {
		return settle(ctx, h, id, history.Step{To: record.Queued, Reason: "it waits for nodes anew: " + reason, Owner: me.ID, Change: func(r *record.Run) {
			r.Requeue()
			r.Warnings = append(r.Warnings, s.warnings...)
		}})
	}
	defer history.SealLater(h, id)
	return settle(ctx, h, id, history.Step{To: record.Failed, Reason: reason, Owner: me.ID, Change: func(r *record.Run) {
		r.Error = &record.RunError{Code: systemError, Message: reason, Phase: string(phase), LastLines: s.tail.lines()}
		r.Warnings = append(r.Warnings, s.warnings...)
	}})
}

// giveBack makes a run whose burial failed have its lost owner again, so that
// it can be begun anew at once. Where that fails too, it can when this process
// has ended or was silent about the run for long.
func giveBack(ctx context.Context, h core.Handle, id, mine string, lost record.Owner) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	_, err := history.Update(ctx, h, id, core.Quiet, func(r *record.Run) error {
		if r.Owner == nil || r.Owner.ID != mine {
			return core.ErrNoChange
		}
		r.Owner = &lost
		return nil
	})
	if err != nil {
		h.Logger().Warn("a run whose process is gone could not be ended", "run", id, "error", err)
	}
}

// salvage saves what a lost process left.
type salvage struct{ drive }

// save saves what it can; the rest becomes warnings of the run. Only a store
// that does not answer is an error: then all can be tried again.
func (s *salvage) save(ctx context.Context, here bool) error {
	log, err := history.Metrics(s.h, s.run)
	if err != nil {
		return err
	}
	var unavailable error
	note := func(what string, err error) {
		switch {
		case errors.Is(err, azml.ErrUnavailable):
			unavailable = errors.Join(unavailable, err)
		case err != nil && !errors.Is(err, azml.ErrNotFound) && !errors.Is(err, os.ErrNotExist):
			s.warn("%s: %v", what, err)
		}
	}
	_, err = log.Recover(ctx)
	note("metrics that were not yet in the store", err)
	if s.run.Definition == nil || !here {
		return unavailable
	}
	note("the script's processes", s.endLeftJob(ctx))
	if s.mayRequeue() && hasRun(s.run) {
		s.before = fileSet{} // those of the snapshot are stored with the rest
		note("files of outputs/", s.collectOutputs(ctx))
	}
	switch err := s.readSecrets(ctx); {
	case ctx.Err() != nil:
	case errors.Is(err, azml.ErrUnavailable):
		unavailable = errors.Join(unavailable, err)
	case err != nil: // better lost than shown
		s.warn("the last of the output and of the metrics file is left out, for the secrets to mask in it can't be read: %v", err)
	default:
		note("output of the script that was not yet in the log", s.saveOutput(ctx))
		note("lines of the metrics file", s.saveMetricsFile(ctx))
	}
	if ctx.Err() != nil { // what was not saved is to be found by the next one
		return ctx.Err()
	}
	if unavailable == nil {
		s.clean(ctx)
	}
	return unavailable
}

// endLeftJob ends what still runs of the script: nobody watches it any more.
func (s *salvage) endLeftJob(ctx context.Context) error {
	var all error
	for _, job := range s.jobs() {
		if err := s.h.Local().Cancel(ctx, job, time.Second); !errors.Is(err, azml.ErrNotFound) {
			all = errors.Join(all, err)
		}
	}
	return all
}

// saveOutput appends what the logs lack of what the script's processes have said.
func (s *salvage) saveOutput(ctx context.Context) error {
	var all error
	for local, job := range s.jobs() {
		err := s.saveOutputOf(ctx, job, s.logName(local), func(offset int64) (io.ReadCloser, error) {
			return s.h.Local().Output(ctx, job, &backend.OutputOptions{Offset: offset})
		})
		if local == 0 || !errors.Is(err, azml.ErrNotFound) {
			all = errors.Join(all, err)
		}
	}
	for _, name := range s.rankLogs() {
		err := s.saveOutputOf(ctx, path.Base(name), name, func(offset int64) (io.ReadCloser, error) {
			return openAt(filepath.Join(s.dir, filepath.FromSlash(name)), offset)
		})
		if !errors.Is(err, fs.ErrNotExist) {
			all = errors.Join(all, err)
		}
	}
	return all
}

// openAt opens a file to be read from there on.
func openAt(file string, offset int64) (io.ReadCloser, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// saveOutputOf appends what the log lacks of a process's output. Where secrets are
// masked in it, the whole of it is masked once more, for the log's size says nothing
// of how much of the output is in it.
func (s *salvage) saveOutputOf(ctx context.Context, process, name string, open func(offset int64) (io.ReadCloser, error)) error {
	key := history.LogKey(s.run, name)
	stored, err := history.LogSize(ctx, s.h, key)
	if err != nil {
		return err
	}
	base, err := s.base(process)
	if err != nil {
		return err
	}
	stored = max(0, stored-base)
	offset := stored
	if s.hidden != nil {
		offset = 0
	}
	output, err := open(offset)
	if err != nil {
		return err
	}
	defer output.Close()
	log, err := history.NewLogWriter(ctx, s.h, key)
	if err != nil {
		return err
	}
	defer log.Discard() // what could not be stored now is read again
	last := io.Writer(&s.tail)
	if process != s.jobName(0) {
		last = io.Discard
	}
	masked, tail := s.hidden.Writer(&behind{to: log, left: stored - offset}), s.hidden.Writer(last)
	if _, err := io.Copy(io.MultiWriter(masked, tail), output); err != nil {
		return err
	}
	return errors.Join(tail.Flush(), masked.Flush(), log.Close(ctx))
}

// behind hands on what comes behind the first bytes.
type behind struct {
	to   io.Writer
	left int64
}

// Write implements io.Writer.
func (b *behind) Write(p []byte) (int, error) {
	skipped := min(b.left, int64(len(p)))
	if _, err := b.to.Write(p[skipped:]); err != nil {
		return 0, err
	}
	b.left -= skipped
	return len(p), nil
}

// saveMetricsFile takes over the lines that the lost process had not.
func (s *salvage) saveMetricsFile(ctx context.Context) error {
	log, err := history.Metrics(s.h, s.run)
	if err != nil {
		return err
	}
	n, err := linesTaken(ctx, log, s.dir)
	if err != nil {
		return err
	}
	before := &taken{left: n, kinds: map[string]metrics.Kind{}}
	if s.metrics, err = log.NewWriter(); err != nil {
		return err
	}
	if err := addMarker(s.dir, s.metrics.ID()); err != nil { // who must do this again counts our points, too
		return errors.Join(err, s.metrics.Close(ctx))
	}
	var later error // what keeps this line, and so all that come after it, from being stored now
	r := &lineReader{path: s.metricsFile()}
	r.take(true, func(number int, text []byte) {
		if later != nil || before.was(text) {
			return
		}
		switch err := s.takeLine(ctx, text); {
		case ctx.Err() != nil || errors.Is(err, azml.ErrUnavailable):
			later = errors.Join(ctx.Err(), err)
		case err != nil:
			s.warn("line %d of the metrics file: %v", number, err)
		}
	})
	return errors.Join(r.err, later, s.metrics.Close(ctx))
}
