package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// Protocol is the version of what passes between an agent and who has started it.
const Protocol = 1

// Instructions are what a program that drives one run is told, as JSON on its
// standard input, where nobody else sees it.
type Instructions struct {
	// Protocol is the constant Protocol of who writes them.
	Protocol int `json:"protocol"`
	// RunID is the run.
	RunID string `json:"runId"`
	// Owner is the ID of the owner that the run is taken over from; empty when
	// nobody owns it, since a cluster's queue has it.
	Owner string `json:"owner"`
	// Job is the agent's own job, for a run of a queue: only the agent that the
	// run's record names may take it over.
	Job string `json:"job,omitempty"`
	// Lost, when not empty, says that the run's agent is gone, and why: what it left
	// is to be saved and the run to be ended.
	Lost string `json:"lost,omitempty"`
	// Location is where the workspace is opened: a folder or a URL. Empty when it
	// is reached through a gateway.
	Location string `json:"location,omitempty"`
	// SecretsKeyFile is the file with the key of its secrets; empty for the usual
	// one.
	SecretsKeyFile string `json:"secretsKeyFile,omitempty"`
	// CacheDir is the folder for what can be made again, the user's cache folder
	// when empty.
	CacheDir string `json:"cacheDir,omitempty"`
	// Gateway is the address of the gateway to the workspace.
	Gateway string `json:"gateway,omitempty"`
	// Token lets the run in there.
	Token string `json:"token,omitempty"`
	// Who is the author of changes.
	Who string `json:"who,omitempty"`
	// Another says that the agent is to ask at the gateway, when its run has ended,
	// for the instructions of another run, which it may have.
	Another bool `json:"another,omitempty"`
}

// Encode gives the instructions as they are sent.
func (i Instructions) Encode() ([]byte, error) {
	i.Protocol = Protocol
	return json.Marshal(i)
}

// ReadInstructions reads what Encode gives. Errors: ErrInvalid, ErrUnsupported for
// another version.
func ReadInstructions(r io.Reader) (Instructions, error) {
	var i Instructions
	if err := json.NewDecoder(r).Decode(&i); err != nil {
		return i, fmt.Errorf("%w: the instructions can't be read: %w", azml.ErrInvalid, err)
	}
	if i.Protocol != Protocol {
		return i, fmt.Errorf("%w: the instructions are of version %d and this program speaks %d: use the same version of azml on both sides", azml.ErrUnsupported, i.Protocol, Protocol)
	}
	if i.RunID == "" || (i.Location == "") == (i.Gateway == "") {
		return i, fmt.Errorf("%w: the instructions name no run, or not one way to its workspace", azml.ErrInvalid)
	}
	return i, nil
}

// Adopt makes this process the owner of a run that was just submitted. From then
// on it answers for the run. Beside is called with the run's record and reads what else
// that names, while the record is written; its error is one of what follows, for the run is
// adopted then. It waits for a store that does not answer. Errors: ErrConflict when the run
// is no more the former owner's to give.
func Adopt(ctx context.Context, h core.Handle, i Instructions, beside func(r record.Run) error) (stored core.Stored[record.Run], err error) {
	waits := func(err error) { h.Logger().Warn("an agent waits for the store", "run", i.RunID, "error", err) }
	err = persist(ctx, waits, func(ctx context.Context) (err error) {
		stored, err = adopt(ctx, h, i, beside)
		return err
	})
	return stored, err
}

// mine tells whether the run is the instructed agent's to take over.
func (i Instructions) mine(r *record.Run) bool {
	if i.Owner == "" {
		return r.Owner == nil && r.Agent != nil && r.Agent.Job == i.Job
	}
	return r.Owner != nil && r.Owner.ID == i.Owner
}

func adopt(ctx context.Context, h core.Handle, i Instructions, beside func(r record.Run) error) (core.Stored[record.Run], error) {
	held, err := history.Get(ctx, h, i.RunID)
	if err != nil {
		return held, err
	}
	var reading errgroup.Group
	reading.Go(func() error { return beside(held.Value) })
	stored, err := takeOver(ctx, h, i, held, func(r *record.Run) {
		if r.Agent != nil {
			r.Agent.Adopted = true
		}
	})
	return stored, cmp.Or(err, reading.Wait())
}

// TakeOver makes this process the owner of a run that was just submitted, until its
// agent is. Errors: as Adopt, and ErrUnavailable.
func TakeOver(ctx context.Context, h core.Handle, i Instructions) (core.Stored[record.Run], error) {
	return takeOver(ctx, h, i, core.Stored[record.Run]{}, func(*record.Run) {})
}

// takeOver is TakeOver of a run whose record may be held.
func takeOver(ctx context.Context, h core.Handle, i Instructions, held core.Stored[record.Run], change func(*record.Run)) (core.Stored[record.Run], error) {
	me := h.Owner()
	return core.UpdateFrom(ctx, h, history.Ref(i.RunID), held, core.Quiet, func(r *record.Run) error {
		if r.Owner != nil && r.Owner.ID == me.ID {
			return core.ErrNoChange // an earlier try whose answer was lost
		}
		if r.Status.Terminal() || !i.mine(r) {
			return fmt.Errorf("%w: the run is %s, and its submitter does not answer for it any more", azml.ErrConflict, r.Status)
		}
		r.Owner = &me
		change(r)
		return nil
	})
}

// Finish ends the run whose agent is gone, in place of it. With here this process is
// where that ran, which has what it left, whatever the place calls itself: a container
// has a new name each time. It takes the run from the owner that its record has.
func Finish(ctx context.Context, h core.Handle, id string, here bool, reason string) error {
	run, err := history.Get(ctx, h, id)
	if err != nil || run.Value.Status.Terminal() || run.Value.Owner == nil {
		return err
	}
	_, err = bury(ctx, h, run, here, reason)
	return err
}
