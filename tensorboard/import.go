package tensorboard

import (
	"context"
	"fmt"
	"os"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/run"
)

// ImportOptions are the options of Import.
type ImportOptions struct {
	// Progress, when not nil, is called now and then with what was done of one
	// folder.
	Progress func(Imported)
}

// Outcome says what Import did about a folder.
type Outcome string

// The outcomes of a folder.
const (
	// Created says that a run was made of the folder.
	Created Outcome = "created"
	// Replaced says that the folder has grown since it was imported, or that
	// its import was cut off, and that a new run took the place of the old one.
	Replaced Outcome = "replaced"
	// Unchanged says that the folder has been imported as it is now.
	Unchanged Outcome = "unchanged"
	// Kept says that the folder has changed since it was imported and that the
	// run was left as it is, see Imported.Reason.
	Kept Outcome = "kept"
)

// Imported is what Import has done for one folder.
type Imported struct {
	// Folder is the folder, relative to the one that was imported.
	Folder string `json:"folder"`
	// RunID is the ID of its run.
	RunID string `json:"runId"`
	// Outcome says what was done.
	Outcome Outcome `json:"outcome"`
	// Reason says why a run was kept.
	Reason string `json:"reason,omitempty"`
	// Values is the number of values that were logged.
	Values int64 `json:"values"`
	// LeftOut counts, by reason, what was not carried over.
	LeftOut map[string]int64 `json:"leftOut,omitempty"`
	// Damaged lists the records that can't be read, at most 100; LeftOut counts
	// them all. What comes behind one can be read, unless it is the record's
	// header that is damaged.
	Damaged []Damage `json:"damaged,omitempty"`
}

// Damage is one record that can't be read.
type Damage struct {
	// File is the event file, relative to the imported folder.
	File string `json:"file"`
	// Offset is where in the file the record begins.
	Offset int64 `json:"offset"`
	// Reason says what is wrong.
	Reason string `json:"reason"`
}

// Import makes runs of the event files below the folder logdir, one Completed
// run of each folder that has some, and says what it did for each, by path;
// also with an error. Steps and times are kept. A run's display name is the
// folder's path.
//
// It can be called again. A run's ID comes from the experiment, the folder's
// name and the beginning of its first file, so the same folder is the same run,
// from wherever it is imported. A folder that has not changed is passed over.
// Of one that has grown, or whose import was cut off, the run is deleted and
// made anew under its ID with the next number; names, tags and properties that
// it was given are kept. A run is left as it is when the folder has less than
// was imported, or when files or children were added to the run.
//
// Scalars, also those that are tensors, become numbers, texts strings, images
// image files, histograms tables of the columns left, right and count without
// their empty buckets, vectors lists, parameters of the HPARAMS tab parameters.
// Graphs, audio and the data of other plugins are not carried over, but counted
// by reason. A last record that is cut off, as it is while its writer is at it,
// is passed over.
//
// Errors: ErrNotFound when there are no event files below logdir; ErrConflict
// when another process is importing one of the folders, or when two are copies
// of each other.
func Import(ctx context.Context, exp *experiment.Experiment, logdir string, opts *ImportOptions) (_ []Imported, err error) {
	defer core.Wrap(&err, "import", "TensorBoard folder", logdir)
	if opts == nil {
		opts = &ImportOptions{}
	}
	folders, err := findFolders(logdir)
	if err != nil {
		return nil, err
	}
	known, err := imported(ctx, exp)
	if err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp("", "azml-import-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	var report []Imported
	from := map[string]string{}
	for _, f := range folders {
		id := f.runID(exp.Name())
		if other, twice := from[id]; twice {
			return report, fmt.Errorf("%w: the folders %q and %q begin with the same events: import them into two experiments", azml.ErrConflict, other, f.name)
		}
		from[id] = f.name
		i := &importer{exp: exp, folder: f, scratch: scratch, progress: opts.Progress,
			done: Imported{Folder: f.name, RunID: id}, plugins: map[string]string{}, params: map[string]any{}}
		err := i.importFolder(ctx, known[id])
		report = append(report, i.done)
		if err != nil {
			return report, fmt.Errorf("folder %q: %w", f.name, err)
		}
		i.show()
	}
	return report, nil
}

// imported gives the runs of the experiment that were imported, by ID.
func imported(ctx context.Context, exp *experiment.Experiment) (map[string]*run.Run, error) {
	known := map[string]*run.Run{}
	for r, err := range exp.Runs(ctx, &run.ListOptions{Properties: map[string]string{propertyContent: ""}}) {
		if err != nil {
			return nil, err
		}
		known[r.ID()] = r
	}
	return known, nil
}
