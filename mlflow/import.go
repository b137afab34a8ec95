package mlflow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/workspace"
)

// ImportOptions are the options of Import.
type ImportOptions struct {
	// Experiments are the names of the experiments wanted; empty means all, and
	// the registered models, too.
	Experiments []string
	// Login is for a server.
	Login Login
	// Artifacts is a folder on this machine that holds the artifacts of a
	// database or file store: what its URIs say, or a copy of it. Artifacts
	// inside the source's own folder are found without it; others are not read.
	Artifacts string
	// Verify compares all that was imported before, value by value and file by
	// file, also of runs that have ended and look the same.
	Verify bool
	// DryRun changes nothing and counts what would be done. It reads no values
	// and no files.
	DryRun bool
	// Progress, when not nil, is called now and then with what was done so far;
	// never by two goroutines at once.
	Progress func(Imported)
}

// Imported is what Import has done.
type Imported struct {
	// From is where it was imported from, without credentials.
	From string `json:"from"`
	Carried
}

// workers is how many runs are carried over at the same time.
const workers = 4

// Import carries over what uri names: the URL of an MLflow server, an SQLite
// database ("sqlite:///mlflow.db", or the file's path) or the folder of a file
// store, and says what it did, also with an error. Nothing is changed there.
//
// Experiments keep their names, and their IDs as further names where these are
// free; runs keep their IDs, times, statuses, users, parents, tags, parameters,
// datasets and all values of all metrics; artifacts become files of the runs.
// What is deleted in MLflow is archived or deleted here. Where MLflow's database
// keeps the greatest number in the place of infinity, it is infinity again.
//
// It can be called again, after it was cut off or later, and adds what is
// missing: values and files that are there are compared and not written twice,
// and what differs is left as it is and listed. A run that has ended and looks
// the same as when it was imported is passed over, unless Verify is set. While
// a run is carried over it is Running, and if that is cut off it is Failed until
// the next import.
//
// Errors: ErrNotFound when nothing is there; ErrInvalid when it is nothing of
// MLflow's; ErrDamaged; ErrDenied when a server wants another Login; ErrConflict
// when another import is at one of the runs; ErrUnavailable.
func Import(ctx context.Context, ws *workspace.Workspace, uri string, opts *ImportOptions) (_ *Imported, err error) {
	if opts == nil {
		opts = &ImportOptions{}
	}
	h := workspace.Handle(ws)
	defer h.Operation(&ctx, &err, "import", "MLflow store", withoutPassword(uri))()
	src, err := openSource(ctx, uri, opts)
	if err != nil {
		return nil, err
	}
	i := &importer{h: h, src: src, opts: *opts, keys: map[string]string{}, handled: map[string]bool{}, roots: map[string]string{}}
	i.ledger = newLedger(opts.DryRun, func(done Carried) {
		if opts.Progress != nil {
			opts.Progress(Imported{src.name(), done})
		}
	})
	err = errors.Join(i.all(ctx), src.close())
	return &Imported{src.name(), i.result()}, err
}

// importer carries over from one source.
type importer struct {
	h core.Handle
	*ledger
	src  source
	opts ImportOptions

	experiments map[string]experiment // those wanted, by ID
	keys        map[string]string     // names in the workspace by ID
	handled     map[string]bool       // runs that were begun or passed over
	roots       map[string]string     // URIs of runs' artifacts, by run
}

// all carries over all that is wanted.
func (i *importer) all(ctx context.Context) error {
	i.experiments = map[string]experiment{}
	var order []experiment
	missing := map[string]bool{}
	for _, name := range i.opts.Experiments {
		missing[name] = true
	}
	for e, err := range i.src.experiments(ctx) {
		if err != nil {
			return err
		}
		if len(i.opts.Experiments) > 0 && !slices.Contains(i.opts.Experiments, e.name) {
			continue
		}
		delete(missing, e.name)
		i.fitTimes(e.name, "experiments", &e.created, &e.updated)
		i.experiments[e.id] = e
		order = append(order, e)
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: there is no experiment %s", azml.ErrNotFound, core.Sample(slices.Sorted(maps.Keys(missing))))
	}
	for _, e := range order {
		if err := i.experiment(ctx, e); err != nil {
			return fmt.Errorf("experiment %q: %w", e.name, err)
		}
	}
	order = slices.DeleteFunc(order, func(e experiment) bool { return i.keys[e.id] == "" })
	for _, e := range order {
		if err := i.keepID(ctx, e); err != nil {
			return fmt.Errorf("experiment %q: %w", e.name, err)
		}
		if err := i.runs(ctx, e); err != nil {
			return fmt.Errorf("experiment %q: %w", e.name, err)
		}
		if err := i.loggedModels(ctx, e); err != nil {
			return fmt.Errorf("experiment %q: %w", e.name, err)
		}
	}
	if len(i.opts.Experiments) > 0 {
		return nil
	}
	if err := i.models(ctx); err != nil {
		return err
	}
	counts, err := i.src.others(ctx)
	i.leaveAll(counts)
	return err
}

// runs carries over the runs of an experiment: their records one after the
// other, so that their numbers follow their times, what belongs to them at the
// same time as that of others.
func (i *importer) runs(ctx context.Context, e experiment) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var working sync.WaitGroup
	turns := make(chan struct{}, workers)
	fill := func(c *claim) {
		turns <- struct{}{}
		working.Go(func() {
			defer func() { <-turns }()
			if err := i.fill(ctx, c); err != nil {
				stop(fmt.Errorf("run %s: %w", c.run.id, err))
			}
		})
	}
	err := func() error {
		for r, err := range i.src.runs(ctx, e.id) {
			if err != nil {
				return err
			}
			if err := i.begin(ctx, r, fill); err != nil {
				return fmt.Errorf("run %s: %w", r.id, err)
			}
		}
		counts, err := i.src.leftOut(ctx, e)
		i.leaveAll(counts)
		return err
	}()
	working.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// fitTimes takes those of the times away that can't be stored, such as those of
// clients that give nanoseconds for milliseconds.
func (i *importer) fitTimes(name, what string, times ...*time.Time) {
	for _, t := range times {
		if _, err := t.MarshalJSON(); err != nil {
			*t = time.Time{}
			i.leave("times of "+what+" that can't be stored", 1, name)
		}
	}
}

// withoutPassword takes credentials out of a URI.
func withoutPassword(uri string) string {
	c, err := newClient(uri, Login{})
	if err != nil {
		return uri
	}
	return c.base.String()
}

// experimentRecord is what an experiment becomes.
func (i *importer) experimentRecord(e experiment, key string) record.Experiment {
	rec := record.Experiment{ID: core.NewUUID(), Name: key, Tags: maps.Clone(e.tags)}
	if e.name != key {
		rec.Title = e.name
	}
	if e.deleted {
		rec.Archived = cmp.Or(e.updated, e.created, i.h.Now())
	}
	rec.Created = e.created
	return rec
}
