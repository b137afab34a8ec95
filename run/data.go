package run

import (
	"context"
	"fmt"
	"maps"

	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/internal/index"
	"github.com/azml-go/azml/internal/rundata"
)

// Input is a dataset that a run has used.
type Input struct {
	// Name is the input's name; empty when a script has only told MLflow of it.
	Name string `json:"name,omitempty"`
	// Dataset is the dataset of the workspace, as "name:version" or the ID of a
	// definition; empty when only MLflow was told.
	Dataset string `json:"dataset,omitempty"`
	// Mode is how the run got it.
	Mode dataset.Mode `json:"mechanism,omitempty"`
	// Files is the number of the files that it had then.
	Files int64 `json:"files,omitempty"`
	// Bytes is their size.
	Bytes int64 `json:"bytes,omitempty"`
	// Fingerprint is the SHA-256 of the list of its files then, in hexadecimal: the
	// same one is the same data. It is empty for a query. Of an input that a script got
	// in the mode direct it is what the version had when it was registered, as Files
	// and Bytes are; of one that is not registered it is empty.
	Fingerprint string `json:"sha256,omitempty"`
	// MLflowName is what MLflow's clients call the dataset.
	MLflowName string `json:"mlflowName"`
	// MLflowDigest tells them its versions apart.
	MLflowDigest string `json:"mlflowDigest"`
	// Context is what it was used for, in the word of MLflow; the input's name when
	// it is one.
	Context string `json:"context,omitempty"`
	// Tags are MLflow's tags of the use.
	Tags map[string]string `json:"tags,omitempty"`
}

// Inputs gives the datasets that the run has used, by the record as it was last
// read: those that it got, and those that its script has told MLflow of.
func (r *Run) Inputs() []Input {
	rec := r.record()
	out := make([]Input, len(rec.Datasets))
	for i, d := range rec.Datasets {
		out[i] = Input{MLflowName: d.Name, MLflowDigest: d.Digest, Context: d.Tags[index.DatasetContext], Tags: maps.Clone(d.Tags)}
		if u := d.Use; u != nil {
			out[i].Name, out[i].Dataset, out[i].Mode = u.Input, u.Dataset, dataset.Mode(u.Mode)
			out[i].Files, out[i].Bytes, out[i].Fingerprint = u.Files, u.Bytes, u.Digest
		}
	}
	return out
}

// Output is a dataset that a run has made.
type Output struct {
	// Name is the output's name.
	Name string `json:"name"`
	// Dataset is the dataset, as "name:version" or the ID of a definition; empty when
	// the run has made no file.
	Dataset string `json:"dataset,omitempty"`
	// Mode is how the files went.
	Mode dataset.Mode `json:"mechanism"`
	// Target is the folder in a datastore where they are.
	Target dataset.Path `json:"target"`
	// Files is the number of the files in the folder.
	Files int64 `json:"files,omitempty"`
	// Bytes is their size.
	Bytes int64 `json:"bytes,omitempty"`
	// Fingerprint is the SHA-256 of the list of the files, in hexadecimal.
	Fingerprint string `json:"sha256,omitempty"`
}

// Outputs gives the datasets that the run has made, by the record as it was last
// read.
func (r *Run) Outputs() []Output {
	rec := r.record()
	out := make([]Output, len(rec.DatasetOutputs))
	for i, o := range rec.DatasetOutputs {
		out[i] = Output{Name: o.Output, Dataset: o.Dataset, Mode: dataset.Mode(o.Mode), Target: dataset.Path{Datastore: o.Datastore, Path: o.Path},
			Files: o.Files, Bytes: o.Bytes, Fingerprint: o.Digest}
	}
	return out
}

// InputState says whether the data of an input is what it was.
type InputState struct {
	// Name is the input's name.
	Name string `json:"name"`
	// Dataset is the dataset, as "name:version" or the ID of a definition.
	Dataset string `json:"dataset"`
	// Known is false for a query, of which it can't be told.
	Known bool `json:"known"`
	// Changed says that the data is not what it was when the run used it.
	Changed bool `json:"changed"`
	// Changes says what has changed, where that is known: of versions that were what
	// they had been when they were registered. Else it is nil.
	Changes *dataset.Changes `json:"changes,omitempty"`
	// Problem says why it could not be looked at, such as a dataset that was deleted;
	// nil when it could.
	Problem error `json:"-"`
}

// CheckInputsOptions are the options of Run.CheckInputs; there are none so far.
type CheckInputsOptions struct{}

// CheckInputs tells of each dataset of the workspace that the run has used whether
// its data has changed since. It lists all files of each.
func (r *Run) CheckInputs(ctx context.Context, _ *CheckInputsOptions) (_ []InputState, err error) {
	defer r.h.Operation(&ctx, &err, "check inputs of", kind, r.id)()
	var out []InputState
	for _, d := range r.record().Datasets {
		if d.Use == nil {
			continue
		}
		state := InputState{Name: d.Use.Input, Dataset: d.Use.Dataset, Known: d.Use.Digest != ""}
		state.Changes, state.Changed, state.Problem = rundata.Compare(ctx, r.h, *d.Use)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		out = append(out, state)
	}
	return out, nil
}

// UseDataset notes that the run uses the dataset, as it is now, under the name. One
// that is not registered is saved. It is for programs that read the data themselves,
// by dataset.Rows or Dataset.FS; what a script gets is noted anyway. What was noted
// under the name before is replaced. Errors: ErrInvalid, ErrNotFound when there is
// no data.
func (r *Run) UseDataset(ctx context.Context, name string, d *dataset.Dataset) (err error) {
	defer r.h.Operation(&ctx, &err, "note input of", kind, r.id)()
	if err := rundata.Use(ctx, r.h, r.record(), name, d); err != nil {
		return fmt.Errorf("input %q: %w", name, err)
	}
	return r.Refresh(ctx)
}

// StoreDataset stores the files of the folder dir in a datastore as the output of
// the name, registers or saves them as a dataset, notes that the run has made it, and
// gives it. When a version is registered, all of it is stored. Errors: ErrInvalid,
// also for a folder without files; ErrExists naming a file that is there.
func (r *Run) StoreDataset(ctx context.Context, name, dir string, out dataset.Output) (_ *dataset.Dataset, err error) {
	defer r.h.Operation(&ctx, &err, "store output of", kind, r.id)()
	d, err := rundata.Store(ctx, r.h, r.record(), name, dir, out)
	if err != nil {
		return nil, fmt.Errorf("output %q: %w", name, err)
	}
	return d, r.Refresh(ctx)
}
