package mlflow

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/workspace"
)

// ExportOptions are the options of Export.
type ExportOptions struct {
	// Experiments are the experiments wanted, by their names here or in MLflow;
	// empty means all, and the registered models, too.
	Experiments []string
	// Login shows the server who one is.
	Login Login
	// Verify compares all that was exported before, value by value and file by
	// file, also of runs that have ended and look the same.
	Verify bool
	// DryRun changes nothing and counts what would be done. It reads no values
	// and no files.
	DryRun bool
	// Progress, when not nil, is called now and then with what was done so far;
	// never by two goroutines at once.
	Progress func(Exported)
}

// Exported is what Export has done.
type Exported struct {
	// To is the server's URL, without credentials.
	To string `json:"to"`
	Carried
}

// The tags by which what was exported is found again.
const (
	// tagRun is on a run: its ID in the workspace.
	tagRun = "azml.runId"
	// tagState is on a run that was exported whole: what it was then.
	tagState = "azml.exported"
	// tagModel is on a logged model and on a version: its ID in the workspace.
	tagModel = "azml.modelId"
)

// Export carries experiments, runs and models over to the MLflow server at
// address, and says what it did, also with an error. Nothing is changed here.
//
// Runs get new IDs there, as a server gives them itself; the tag "azml.runId"
// holds the one here. Kept are names, times, statuses, users, parents, tags,
// parameters, datasets, all numbers that were logged with their steps and times,
// files as artifacts, logged models, and registered models with their versions'
// numbers, stages, aliases and tags. Values that are no numbers (texts, lists,
// tables, images), properties, snapshots and logs have no place there and are
// counted.
//
// It can be called again, after it was cut off or later, and adds what is
// missing; what differs is left as it is and listed. A run that has ended and
// has not changed since it was exported is passed over, unless Verify is set.
// Two exports of one workspace to one server at the same time are not kept apart.
//
// Errors: ErrInvalid; ErrDenied when the server wants another Login;
// ErrUnavailable.
func Export(ctx context.Context, ws *workspace.Workspace, address string, opts *ExportOptions) (_ *Exported, err error) {
	if opts == nil {
		opts = &ExportOptions{}
	}
	h := workspace.Handle(ws)
	defer h.Operation(&ctx, &err, "export to", "MLflow server", withoutPassword(address))()
	c, err := newClient(address, opts.Login)
	if err != nil {
		return nil, err
	}
	defer c.http.HTTPClient.CloseIdleConnections()
	x := &exporter{h: h, client: c, opts: *opts, runIDs: map[string]string{}, modelIDs: map[string]string{}}
	x.ledger = newLedger(opts.DryRun, func(done Carried) {
		if opts.Progress != nil {
			opts.Progress(Exported{c.base.String(), done})
		}
	})
	err = x.all(ctx)
	return &Exported{c.base.String(), x.result()}, err
}

// exporter carries over to one server.
type exporter struct {
	h core.Handle
	*client
	*ledger
	opts ExportOptions

	mu       sync.Mutex
	runIDs   map[string]string // there, by the ID here
	modelIDs map[string]string // of logged models
	home     *target           // of the files of versions that no run has, see carrier
}

// all carries over all that is wanted.
func (x *exporter) all(ctx context.Context) error {
	missing := map[string]bool{}
	for _, name := range x.opts.Experiments {
		missing[name] = true
	}
	for stored, err := range history.Experiments(ctx, x.h) {
		if err != nil {
			return err
		}
		e := stored.Value
		if len(x.opts.Experiments) > 0 && !missing[e.Name] && !missing[titleOf(e)] && !slices.Contains(x.opts.Experiments, e.Name) {
			continue
		}
		delete(missing, e.Name)
		delete(missing, titleOf(e))
		if err := x.experiment(ctx, e); err != nil {
			return fmt.Errorf("experiment %q: %w", e.Name, err)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: there is no experiment %s", azml.ErrNotFound, core.Sample(slices.Sorted(maps.Keys(missing))))
	}
	if len(x.opts.Experiments) > 0 {
		return nil
	}
	return x.models(ctx)
}

// titleOf is what MLflow calls the experiment.
func titleOf(e record.Experiment) string {
	if e.Title != "" {
		return e.Title
	}
	return e.Name
}
