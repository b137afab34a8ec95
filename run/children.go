package run

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"strconv"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// TypeInProcess is the type of runs that are logged in process.
const TypeInProcess = "azml.run"

// TypeScript is the type of submitted script runs.
const TypeScript = "azureml.scriptrun"

// ChildOptions are the options of making child runs.
type ChildOptions struct {
	// ID is the child's ID; a random UUID when empty.
	ID string
	// DisplayName is a name for people.
	DisplayName string
	// Tags are free labels.
	Tags map[string]string
}

// Child makes a child run, which is Running and logged to by this process.
// Errors: ErrConflict when this run has ended; ErrExists; ErrInvalid.
func (r *Run) Child(ctx context.Context, opts *ChildOptions) (_ *Run, err error) {
	defer r.h.Operation(&ctx, &err, "create child of", kind, r.id)()
	draft, err := r.child(ctx, opts)
	if err != nil {
		return nil, err
	}
	return Start(ctx, r.h, draft, "")
}

// maxChildren is the greatest number of children made at once, Azure ML's.
const maxChildren = 100

// CreateChildren makes up to 100 child runs that are NotStarted; Start starts
// one. They get the tag "azureml.batch_child_number" with 0, 1, 2 … Errors: as
// Child. When it fails in the middle, the children made so far are there.
func (r *Run) CreateChildren(ctx context.Context, count int, opts *ChildOptions) (_ []*Run, err error) {
	defer r.h.Operation(&ctx, &err, "create children of", kind, r.id)()
	if count < 1 || count > maxChildren {
		return nil, fmt.Errorf("%w: %d children: ask for 1 to %d at once", azml.ErrInvalid, count, maxChildren)
	}
	if opts != nil && opts.ID != "" {
		return nil, fmt.Errorf("%w: one ID for several children: leave it empty", azml.ErrInvalid)
	}
	var children []*Run
	for i := range count {
		draft, err := r.child(ctx, opts)
		if err != nil {
			return nil, err
		}
		draft.Status, draft.Reason = record.NotStarted, "created by its parent"
		draft.Tags = core.ChangeLabels(draft.Tags, map[string]string{"azureml.batch_child_number": strconv.Itoa(i)}, nil)
		if err := CheckDraft(&draft); err != nil {
			return nil, err
		}
		stored, err := history.Create(ctx, r.h, draft)
		if err != nil {
			return nil, err
		}
		children = append(children, Wrap(r.h, stored))
	}
	return children, nil
}

// Start starts a NotStarted run: it is Running and this process answers for
// it. Errors: ErrConflict when it was started before.
func (r *Run) Start(ctx context.Context) (err error) {
	defer r.h.Operation(&ctx, &err, "start", kind, r.id)()
	if r.Status() != StatusNotStarted {
		return fmt.Errorf("%w: the run is %s", azml.ErrConflict, r.Status())
	}
	owner := r.h.Owner()
	stored, err := r.transition(ctx, history.Step{To: record.Running, Reason: "logged in process",
		Change: func(rec *record.Run) { rec.Owner = &owner }})
	if err != nil {
		return err
	}
	r.keep(stored)
	return r.own("")
}

func (r *Run) child(ctx context.Context, opts *ChildOptions) (record.Run, error) {
	if opts == nil {
		opts = &ChildOptions{}
	}
	if err := r.Refresh(ctx); err != nil {
		return record.Run{}, err
	}
	if r.Status().Terminal() {
		return record.Run{}, fmt.Errorf("%w: the parent run is %s", azml.ErrConflict, r.Status())
	}
	draft := record.Run{ID: opts.ID, Experiment: r.ExperimentName(), Type: TypeInProcess, Parent: r.id, Root: r.record().Root,
		DisplayName: opts.DisplayName, Tags: maps.Clone(opts.Tags)}
	if draft.ID == "" {
		draft.ID = core.NewUUID()
	}
	return draft, CheckDraft(&draft)
}

// ChildrenOptions are the options of Run.Children.
type ChildrenOptions struct {
	// Recursive yields children's children too.
	Recursive bool
	// Status keeps runs of these statuses.
	Status []Status
	// Type keeps runs of this type.
	Type string
	// Tags keeps runs that have all these tags; an empty value matches any.
	Tags map[string]string
	// Properties keeps runs that have all these properties; an empty value
	// matches any.
	Properties map[string]string
}

// Children yields the run's child runs, the newest first.
func (r *Run) Children(ctx context.Context, opts *ChildrenOptions) iter.Seq2[*Run, error] {
	if opts == nil {
		opts = &ChildrenOptions{}
	}
	list := &ListOptions{Experiment: r.ExperimentName(), Status: opts.Status, Type: opts.Type, Tags: opts.Tags, Properties: opts.Properties}
	if !opts.Recursive {
		list.Parent = r.id
		return NewClient(r.h).List(ctx, list)
	}
	return func(yield func(*Run, error) bool) {
		var all []*Run
		parents := map[string]string{}
		for one, err := range NewClient(r.h).List(ctx, &ListOptions{Experiment: list.Experiment, Root: r.record().Root}) {
			if err != nil {
				yield(nil, err)
				return
			}
			all = append(all, one)
			parents[one.id] = one.ParentID()
		}
		for _, one := range all {
			if isBelow(one.id, r.id, parents) && list.match(one.record()) && !yield(one, nil) {
				return
			}
		}
	}
}

// isBelow tells whether the run has the other among its parents.
func isBelow(id, above string, parents map[string]string) bool {
	for id = parents[id]; id != ""; id = parents[id] {
		if id == above {
			return true
		}
	}
	return false
}
