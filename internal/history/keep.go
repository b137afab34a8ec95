package history

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// The times of a heartbeat, Azure ML's own: it beats every 4/5 of 30 s, and a
// run is NotResponding when none was seen for 120 s. FailAfter is ours: by then
// nobody expects the run back.
const (
	// BeatEvery is the time between two heartbeats.
	BeatEvery = 24 * time.Second
	// SilentAfter is the age of the last heartbeat at which a run is NotResponding.
	SilentAfter = 120 * time.Second
	// FailAfter is the age of the last heartbeat at which a run has Failed.
	FailAfter = 300 * time.Second
	// RemoteFailAfter is FailAfter for a run whose agent is on another machine.
	RemoteFailAfter = 24 * time.Hour
)

// watchEvery is how often a driving process looks whether somebody asked it
// to cancel.
const watchEvery = 500 * time.Millisecond

// ErrCancelRequested is the cause with which a driving process stops when
// somebody asked to cancel the run.
var ErrCancelRequested = fmt.Errorf("%w: cancel was requested", azml.ErrCanceled)

// ErrTaken is the cause with which a driving process stops when another one
// has ended the run or taken it over.
var ErrTaken = errors.New("the run was ended by another process")

// Keep answers for a run until ctx is done: it beats, and looks out for a change
// of the run's record by others; a run that somebody took for lost meanwhile is
// taken back. It returns
// nil when ctx is done, ErrCancelRequested or ErrTaken when the caller has to
// stop. A store that doesn't answer is no reason to stop.
func Keep(ctx context.Context, h core.Handle, run record.Run) error {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	var seen backend.ETag
	lastBeat := h.Now() // creating the record was the first
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if now := h.Now(); now.Sub(lastBeat) >= BeatEvery {
			if err := Beat(ctx, h, run); err == nil {
				lastBeat = now
			}
		}
		info, err := h.Objects().Stat(ctx, Ref(run.ID).Key)
		if err != nil && !errors.Is(err, azml.ErrNotFound) || err == nil && info.ETag == seen {
			continue
		}
		stop, err := mustStop(ctx, h, run)
		if stop != nil {
			return stop
		}
		if err == nil {
			seen = info.ETag
		}
	}
}

// mustStop reads the run's record for a reason to stop.
func mustStop(ctx context.Context, h core.Handle, mine record.Run) (reason, err error) {
	run, err := Get(ctx, h, mine.ID)
	if err == nil {
		err = SameLife(run.Value, mine.Life)
	}
	switch {
	case errors.Is(err, azml.ErrNotFound):
		return fmt.Errorf("%w: it was deleted", ErrTaken), nil
	case err != nil:
		return nil, err
	case run.Value.Owner == nil || run.Value.Owner.ID != h.Owner().ID:
		return ErrTaken, nil
	case run.Value.Status.Terminal():
		return fmt.Errorf("%w: it is %s", ErrTaken, run.Value.Status), nil
	case run.Value.Status == record.CancelRequested:
		return ErrCancelRequested, nil
	case run.Value.Status == record.NotResponding:
		return nil, resume(ctx, h, run.Value)
	}
	return nil, nil
}

// resume takes a run of this process, which somebody has not heard of for long,
// back to the status that it had. It beats first, so that nobody finds it
// silent again.
func resume(ctx context.Context, h core.Handle, run record.Run) error {
	if err := Beat(ctx, h, run); err != nil {
		return err
	}
	_, err := Transition(ctx, h, run.ID, Step{To: LastHeard(run), Reason: "its process was heard of again", Owner: h.Owner().ID})
	if errors.Is(err, azml.ErrConflict) {
		return nil // it has gone on meanwhile; what it became is looked at next
	}
	return err
}

// LastHeard gives the run's status, or the one that it had before it was NotResponding.
func LastHeard(run record.Run) record.Status {
	was := run.Status
	for i := len(run.History) - 1; i >= 0 && was == record.NotResponding; i-- {
		was = run.History[i].Status
	}
	return was
}

func heartbeatKey(run record.Run) string { return beside(run, "heartbeat") }

// Beat writes a heartbeat.
func Beat(ctx context.Context, h core.Handle, run record.Run) error {
	return core.PutQuiet(ctx, h, heartbeatKey(run), record.Heartbeat{Owner: h.Owner().ID})
}

// probeBytes is the length of what a question for the store's time is known by.
const probeBytes = 8

// Silence tells for how long nothing was heard of the run's owner, by the
// store's clock. The store is asked for the time only when this machine's
// clock gives reason to: clocks differ.
func Silence(ctx context.Context, h core.Handle, run record.Run) (time.Duration, error) {
	last, err := h.Objects().Stat(ctx, heartbeatKey(run))
	if errors.Is(err, azml.ErrNotFound) {
		last, err = h.Objects().Stat(ctx, Ref(run.ID).Key)
	}
	if err != nil {
		return 0, err
	}
	if silence := h.Now().Sub(last.Modified); silence < SilentAfter && silence > -SilentAfter {
		return 0, nil
	}
	probe := beside(run, "clock-"+core.NewID(probeBytes)) // one for each who asks
	if err := core.PutQuiet(ctx, h, probe, record.Heartbeat{Owner: h.Owner().ID}); err != nil {
		return 0, err
	}
	now, err := h.Objects().Stat(ctx, probe)
	if err != nil {
		return 0, err
	}
	if err := h.Objects().Delete(ctx, probe, &backend.DeleteOptions{}); err != nil && !errors.Is(err, azml.ErrNotFound) {
		return 0, err
	}
	return now.Modified.Sub(last.Modified), nil
}
