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
