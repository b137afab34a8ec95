package experiment

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/run"
)

// Variation is what one run of a batch has instead of what the others have.
type Variation struct {
	// RunID is the run's ID, as in SubmitOptions.
	RunID string
	// DisplayName is a name for people, that of the options when empty.
	DisplayName string
	// Arguments stand in place of those of the configuration, which stay when nil.
	Arguments []string
	// Command stands in place of that of the configuration, which stays when nil.
	Command []string
	// Variables are added to those of the configuration, and win over them.
	Variables map[string]string
	// Tags are added to those of the options, and win over them.
	Tags map[string]string
}

// SubmitEach submits a run to a cluster for each variation of one configuration. The
// configuration is checked, its snapshot taken and its environment looked up once, and
// a run is submitted when it is asked for, so a batch has no size: what is held is one
// run, and who ranges slowly submits slowly. A run costs two objects and its number in
// the experiment. Runs are yielded in the order of the variations; the first error ends
// the batch, and what was yielded before goes on. Ranged again, it is another batch.
// Errors: as Submit; ErrUnsupported for a target that is no cluster, which has no queue.
func (e *Experiment) SubmitEach(ctx context.Context, config ScriptRunConfig, each iter.Seq[Variation], opts *SubmitOptions) iter.Seq2[*run.Run, error] {
	return func(yield func(*run.Run, error) bool) {
		b, err := e.beginBatch(ctx, config, opts)
		if err != nil {
			core.Wrap(&err, "submit runs to", kind, e.Name())
			yield(nil, err)
			return
		}
		for v := range each {
			r, err := b.submit(ctx, v)
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// batch is what all runs of a batch have.
type batch struct {
	e      *Experiment
	config ScriptRunConfig
	draft  record.Run
}

// beginBatch does what is done once.
func (e *Experiment) beginBatch(ctx context.Context, config ScriptRunConfig, opts *SubmitOptions) (*batch, error) {
	if opts == nil {
		opts = &SubmitOptions{}
	}
	if opts.RunID != "" {
		return nil, fmt.Errorf("%w: %q can be the ID of one run only: name runs by their variations", azml.ErrInvalid, opts.RunID)
	}
	b := &batch{e: e, config: config}
	var err error
	b.draft, _, err = e.prepare(ctx, &b.config, opts, func(w way) error {
		if !w.queued {
			return fmt.Errorf("%w: a batch needs a cluster, where runs wait for their turn: name one, or submit the runs one by one", azml.ErrUnsupported)
		}
		return nil
	})
	return b, err
}

// submit submits one run.
func (b *batch) submit(ctx context.Context, v Variation) (_ *run.Run, err error) {
	defer b.e.h.Operation(&ctx, &err, "submit run to", kind, b.e.Name())()
	draft, config, definition := b.draft, b.config, *b.draft.Definition
	if v.Arguments != nil {
		config.Arguments, definition.Arguments = v.Arguments, slices.Clone(v.Arguments)
	}
	if v.Command != nil {
		config.Command, definition.Command = v.Command, slices.Clone(v.Command)
	}
	config.Variables = merged(config.Variables, v.Variables)
	definition.Variables = config.Variables
	if err := config.checkProgram(); err != nil {
		return nil, err
	}
	draft.Definition = &definition
	draft.Tags, draft.Properties = merged(draft.Tags, v.Tags), maps.Clone(draft.Properties)
	if v.DisplayName != "" {
		draft.DisplayName = v.DisplayName
	}
	if draft.ID = v.RunID; draft.ID == "" {
		draft.ID = b.e.newRunID()
	}
	if err := run.CheckDraft(&draft); err != nil {
		return nil, err
	}
	stored, err := b.e.enqueue(ctx, draft)
	if err != nil {
		return nil, err
	}
	return run.Wrap(b.e.h, stored), nil
}

// merged gives a map of its own with what both have; the second wins.
func merged(a, b map[string]string) map[string]string {
	if len(a)+len(b) == 0 {
		return nil
	}
	all := make(map[string]string, len(a)+len(b))
	maps.Copy(all, a)
	maps.Copy(all, b)
	return all
}
