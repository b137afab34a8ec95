package run

import (
	"context"
	"fmt"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// ResumeOptions are the options of Run.Resume.
type ResumeOptions struct {
	// Reason is kept in the run's history; a text that names the user when
	// empty.
	Reason string
	// Outputs is a folder of this machine whose files are uploaded as the
	// run's outputs/ when it ends; none when empty.
	Outputs string
}

// Resume takes up a run that has ended, however and of whatever type: it is
// Running again, this process answers for it, and ends it anew with Complete,
// Fail or Do. What was logged stays, its error and end are forgotten but for
// the history. A submitted script is not started again. Of several at once one
// gets it. To only log to a run that goes on in another process, get it and
// log. Errors: ErrConflict when the run has not ended.
func (r *Run) Resume(ctx context.Context, opts *ResumeOptions) (err error) {
	defer r.h.Operation(&ctx, &err, "resume", kind, r.id)()
	if opts == nil {
		opts = &ResumeOptions{}
	}
	step := history.Step{To: record.Running, Reason: opts.Reason, Resume: true, Change: func(rec *record.Run) {
		owner := r.h.Owner()
		rec.Owner, rec.Error = &owner, nil
	}}
	if step.Reason == "" {
		step.Reason = "resumed by " + r.h.Who()
	}
	if err := r.Refresh(ctx); err != nil {
		return err
	}
	if !r.Status().Terminal() {
		return fmt.Errorf("%w: the run is %s, only one that has ended can be resumed; to log to it get it and log", azml.ErrConflict, r.Status())
	}
	if err := r.close(ctx); err != nil { // what we have logged to it before
		return err
	}
	// Before the claim: who sees it must not find us silent.
	if err := history.Beat(ctx, r.h, r.record()); err != nil {
		return err
	}
	stored, err := r.transition(ctx, step)
	if err != nil {
		return err
	}
	r.keep(stored)
	return r.own(opts.Outputs)
}
