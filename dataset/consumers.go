package dataset

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/index"
	"github.com/azml-go/azml/internal/record"
)

// Role says what a dataset is to a run.
type Role string

// The roles.
const (
	// RoleInput is for what a run has used.
	RoleInput Role = "input"
	// RoleOutput is for what a run has made.
	RoleOutput Role = "output"
)

// Consumer is a run that has used a dataset, or made it.
type Consumer struct {
	// RunID is the run's ID.
	RunID string `json:"runId"`
	// Experiment is the name of its experiment; empty when the run was deleted.
	Experiment string `json:"experiment,omitempty"`
	// Status is where the run is; empty when it was deleted.
	Status string `json:"status,omitempty"`
	// Role says whether the run has used the dataset or made it.
	Role Role `json:"role"`
	// Name is the input's or the output's name.
	Name string `json:"name"`
	// Mode is how the run got or gave the data.
	Mode Mode `json:"mechanism,omitempty"`
	// Created is when the run was created, zero when it was deleted.
	Created time.Time `json:"createdUtc,omitzero"`
}

// ConsumersOptions are the options of Dataset.Consumers; there are none so far.
type ConsumersOptions struct{}

// Consumers yields the runs that have made or used this version, or this definition
// when it is not registered: those that have made it first, then the others, each
// group from the newest to the oldest. They are found by the index of searches, not
// by reading all runs. What a script has only told MLflow of is not among them.
func (d *Dataset) Consumers(ctx context.Context, _ *ConsumersOptions) iter.Seq2[Consumer, error] {
	return func(yield func(Consumer, error) bool) {
		found, err := d.consumers(ctx)
		if err != nil {
			core.Wrap(&err, "find the runs of", kind, d.label())
			yield(Consumer{}, err)
			return
		}
		for _, one := range found {
			if !yield(one, nil) {
				return
			}
		}
	}
}

func (d *Dataset) consumers(ctx context.Context) (found []Consumer, err error) {
	ref := d.Ref()
	runs := index.All(ctx, d.h, index.Request{Kind: index.Runs, Also: index.WithDataset(ref)}, func(hit index.Hit) (core.Stored[record.Run], error) {
		return core.Restore[record.Run](hit.Key, hit.Record, hit.ETag)
	})
	for stored, err := range runs {
		if err != nil {
			return nil, err
		}
		found = append(found, rolesOf(stored.Value, ref)...)
	}
	isMaker := func(c Consumer) bool { return c.Role == RoleOutput }
	if d.stored != nil && d.stored.Value.RunID != "" && !slices.ContainsFunc(found, isMaker) {
		maker, err := d.maker(ctx)
		if err != nil {
			return nil, err
		}
		found = append(found, maker)
	}
	slices.SortStableFunc(found, func(a, b Consumer) int { return cmp.Compare(b.Role, a.Role) })
	return found, nil
}

// rolesOf gives what the dataset is to a run.
func rolesOf(r record.Run, ref string) (found []Consumer) {
	c := Consumer{RunID: r.ID, Experiment: r.Experiment, Status: string(r.Status), Created: r.Created}
	for _, o := range r.DatasetOutputs {
		if o.Dataset == ref {
			c.Role, c.Name, c.Mode = RoleOutput, o.Output, Mode(o.Mode)
			found = append(found, c)
		}
	}
	for _, i := range r.Datasets {
		if i.Use != nil && i.Use.Dataset == ref {
			c.Role, c.Name, c.Mode = RoleInput, i.Use.Input, Mode(i.Use.Mode)
			found = append(found, c)
		}
	}
	return found
}

// maker gives the run that the version says it is from, which was ended before it
// could say so itself, or was deleted.
func (d *Dataset) maker(ctx context.Context) (Consumer, error) {
	v := d.stored.Value
	c := Consumer{RunID: v.RunID, Role: RoleOutput, Name: v.Output}
	stored, err := history.Get(ctx, d.h, v.RunID)
	if errors.Is(err, azml.ErrNotFound) {
		return c, nil
	}
	c.Experiment, c.Status, c.Created = stored.Value.Experiment, string(stored.Value.Status), stored.Value.Created
	return c, err
}
