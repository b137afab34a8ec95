package dataset

import (
	"context"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// NewClient is for package workspace.
func NewClient(h core.Handle) *Client { return &Client{h} }

// PlanInput is for packages that submit runs: it checks the input, keeps a dataset
// that is not registered, and gives what the run's record says.
func PlanInput(ctx context.Context, h core.Handle, name string, in Input) (record.DataInput, error) {
	return in.use(ctx, h, name)
}

// PlanOutput is for packages that submit runs: it checks the output and gives what
// the run's record says.
func PlanOutput(ctx context.Context, h core.Handle, name string, out Output) (record.DataOutput, error) {
	return out.plan(ctx, h, name)
}

// Observe is for what runs scripts: it lists the files that the dataset points to
// now, once. Errors: ErrNotFound when a path means no file.
func Observe(ctx context.Context, d *Dataset) (*Observed, error) { return look(ctx, d) }

// Refer is for what runs scripts: it gives the dataset with what was noted of its
// files when it was registered, and looks at nothing.
func Refer(d *Dataset) *Observed {
	o := &Observed{Dataset: d}
	if d.stored != nil {
		o.Fingerprint = d.stored.Value.Fingerprint
		o.Files, o.Bytes = o.Fingerprint.Files, o.Fingerprint.Bytes
	}
	return o
}

// StoreOutput is for what runs scripts: it stores the files of the folder dir as an
// output of the run.
func StoreOutput(ctx context.Context, h core.Handle, runID string, out record.DataOutput, dir string) (*OutputStore, error) {
	return newOutputStore(ctx, h, runID, out, dir)
}

// OutputFolder is for what runs scripts: it gives the path of the folder of an output
// in its datastore, with "/" at its end.
func OutputFolder(runID string, out record.DataOutput) string {
	return filled(out.Path, runID, out.Name) + "/"
}

// DefinitionID is for packages that check records: it gives the ID that a definition
// has.
func DefinitionID(def record.DataDefinition) string { return definitionID(def) }

// Note is for package mirror: it keeps a definition, and notes that the version
// has it, "name:version", unless that is empty.
func Note(ctx context.Context, h core.Handle, id string, def record.DataDefinition, version string) error {
	if err := save(ctx, h, id, def); err != nil || version == "" {
		return err
	}
	return claim(ctx, h, id, version)
}
