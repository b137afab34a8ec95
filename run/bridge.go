package run

import (
	"context"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// NewClient is for package workspace.
func NewClient(h core.Handle) *Client { return &Client{h} }

// Wrap is for packages that have a run's record: it makes the run's object.
func Wrap(h core.Handle, stored core.Stored[record.Run]) *Run {
	return &Run{h: h, id: stored.Value.ID, stored: stored}
}

// Start is for package experiment: it stores a new run that is Running and
// that this process answers for. The record's fields that don't say who and
// when are the caller's.
func Start(ctx context.Context, h core.Handle, draft record.Run, outputs string) (*Run, error) {
	if err := CheckDraft(&draft); err != nil {
		return nil, err
	}
	draft.Status, draft.Reason = record.Running, "logged in process"
	owner := h.Owner()
	draft.Owner = &owner
	stored, err := history.Create(ctx, h, draft)
	if err != nil {
		return nil, err
	}
	r := Wrap(h, stored)
	return r, r.own(outputs)
}

// CheckDraft is for package experiment: it checks names, tags and properties of
// a run that is to be created.
func CheckDraft(draft *record.Run) error {
	if err := core.RunID.Check(draft.ID); err != nil {
		return err
	}
	return checkNames(draft)
}
