package experiment

import (
	"context"
	"iter"
	"maps"
	"time"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/run"
)

// Experiment is an experiment as it was last read. Methods that change it
// return the changed experiment. It is safe for concurrent use.
type Experiment struct {
	h      core.Handle
	stored core.Stored[record.Experiment]
}

func wrap(h core.Handle, stored core.Stored[record.Experiment]) *Experiment {
	return &Experiment{h, stored}
}

// Details is what an experiment's record says.
type Details struct {
	// ID is a UUID.
	ID string `json:"id"`
	// Name is the experiment's name.
	Name string `json:"name"`
	// Title is the name that MLflow clients see, empty when it is Name.
	Title string `json:"title,omitempty"`
	// Description is free text.
	Description string `json:"description,omitempty"`
	// Tags are free labels.
	Tags map[string]string `json:"tags,omitempty"`
	// Archived is when it was archived, zero when it is active.
	Archived time.Time `json:"archivedTime,omitzero"`
	// Created is when it was created.
	Created time.Time `json:"createdUtc"`
	// CreatedBy is who created it, as user@host.
	CreatedBy string `json:"createdBy"`
}

// Name gives the experiment's name.
func (e *Experiment) Name() string { return e.stored.Value.Name }

// ID gives the experiment's ID, a UUID.
func (e *Experiment) ID() string { return e.stored.Value.ID }

// Details gives a copy of the record.
func (e *Experiment) Details() Details {
	r := e.stored.Value
	return Details{ID: r.ID, Name: r.Name, Title: r.Title, Description: r.Description, Tags: maps.Clone(r.Tags), Archived: r.Archived,
		Created: r.Created, CreatedBy: r.CreatedBy}
}

// Runs yields the experiment's runs, the newest first. opts.Experiment is not
// looked at.
func (e *Experiment) Runs(ctx context.Context, opts *run.ListOptions) iter.Seq2[*run.Run, error] {
	var list run.ListOptions
	if opts != nil {
		list = *opts
	}
	list.Experiment = e.Name()
	return run.NewClient(e.h).List(ctx, &list)
}

// Archive hides the experiment from lists; its runs stay. It takes no new runs
// until Reactivate or Client.CreateOrUpdate makes it active again.
func (e *Experiment) Archive(ctx context.Context) (_ *Experiment, err error) {
	return e.setArchived(ctx, "archive", true)
}

// Reactivate ends Archive.
func (e *Experiment) Reactivate(ctx context.Context) (_ *Experiment, err error) {
	return e.setArchived(ctx, "reactivate", false)
}

func (e *Experiment) setArchived(ctx context.Context, op string, archived bool) (_ *Experiment, err error) {
	defer e.h.Operation(&ctx, &err, op, kind, e.Name())()
	return e.change(ctx, op, func(r *record.Experiment) {
		if archived == r.Archived.IsZero() {
			r.Archived = core.When(archived, e.h.Now())
		}
	})
}

// Update says what to change about an experiment; zero fields leave things as
// they are.
type Update struct {
	// Description replaces the description, unless it is nil.
	Description *string
	// SetTags adds tags or replaces their values.
	SetTags map[string]string
	// RemoveTags removes tags; missing ones are passed over.
	RemoveTags []string
}

// Update changes description and tags in one write. Errors: ErrInvalid,
// ErrNotFound.
func (e *Experiment) Update(ctx context.Context, change Update) (_ *Experiment, err error) {
	defer e.h.Operation(&ctx, &err, "update", kind, e.Name())()
	return e.change(ctx, "description or tags", func(r *record.Experiment) {
		if change.Description != nil {
			r.Description = *change.Description
		}
		r.Tags = core.ChangeLabels(r.Tags, change.SetTags, change.RemoveTags)
	})
}

func (e *Experiment) change(ctx context.Context, detail string, change func(*record.Experiment)) (*Experiment, error) {
	stored, err := core.Update(ctx, e.h, ref(e.Name()), core.Updated(detail), func(r *record.Experiment) error {
		change(r)
		return check(r)
	})
	if err != nil {
		return nil, err
	}
	return wrap(e.h, stored), nil
}
