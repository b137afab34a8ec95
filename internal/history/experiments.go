package history

import (
	"context"
	"errors"
	"iter"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// Experiment reads the record of the experiment, by its name or by one that it
// was given later. Errors: ErrNotFound, ErrInvalid.
func Experiment(ctx context.Context, h core.Handle, name string) (core.Stored[record.Experiment], error) {
	if err := core.ExperimentName.Check(name); err != nil {
		return core.Stored[record.Experiment]{}, err
	}
	stored, err := core.Get[record.Experiment](ctx, h, ExperimentRef(name).Key)
	if err != nil || stored.Value.AliasOf == "" {
		return stored, err
	}
	return core.Get[record.Experiment](ctx, h, ExperimentRef(stored.Value.AliasOf).Key)
}

// Experiments yields the records of all experiments by name, reading each.
func Experiments(ctx context.Context, h core.Handle) iter.Seq2[core.Stored[record.Experiment], error] {
	return experiments(ctx, h, "")
}

// Aliases yields the records that are other names of the experiment. It reads
// those of all experiments.
func Aliases(ctx context.Context, h core.Handle, name string) iter.Seq2[core.Stored[record.Experiment], error] {
	return experiments(ctx, h, name)
}

// experiments yields the records with that AliasOf.
func experiments(ctx context.Context, h core.Handle, of string) iter.Seq2[core.Stored[record.Experiment], error] {
	return func(yield func(core.Stored[record.Experiment], error) bool) {
		for name, err := range h.Children(ctx, ExperimentPrefix) {
			var stored core.Stored[record.Experiment]
			if err == nil && !strings.HasSuffix(name, ".json") {
				continue
			}
			if err == nil {
				stored, err = core.Get[record.Experiment](ctx, h, ExperimentPrefix+name)
			}
			if errors.Is(err, azml.ErrNotFound) || err == nil && stored.Value.AliasOf != of {
				continue
			}
			if !yield(stored, err) || err != nil {
				return
			}
		}
	}
}
