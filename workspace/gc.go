package workspace

import (
	"context"
	"errors"
	"iter"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/registry"
)

// GCOptions are the options of Workspace.GC.
type GCOptions struct {
	// DryRun changes nothing and reports what would be done.
	DryRun bool
	// Exclusive says that no other process writes to the workspace now: what
	// nothing reaches is deleted at once instead of after two grace periods of
	// a day.
	Exclusive bool
}

// GCReport tells what GC did, or with DryRun would do.
type GCReport struct {
	// Live is the number of chunks of files in use, each counted once.
	Live int `json:"live"`
	// LiveBytes is their size.
	LiveBytes int64 `json:"liveBytes"`
	// Condemned is the number of objects that a later run will delete.
	Condemned int `json:"condemned"`
	// Deleted is the number of objects that were deleted.
	Deleted int `json:"deleted"`
	// FreedBytes is the size of what was deleted.
	FreedBytes int64 `json:"freedBytes"`
	// Rewritten is the number of packs whose living part was moved.
	Rewritten int `json:"rewritten"`
	// Missing is the number of chunks in use that are not there: see Fsck.
	Missing int `json:"missing"`
	// Sealed is the number of ended runs whose metrics were made one object.
	Sealed int `json:"sealed"`
}

// GC removes file contents that nothing reaches any more: those of deleted
// runs, models and endpoints, and what interrupted uploads left. It is safe
// beside writers in other processes, and can be stopped at any moment: what
// nothing reaches is first only condemned, and deleted by a run that comes a
// day later or more. It also stores metrics that processes which died have left on this
// machine, seals the metrics of ended runs that were not sealed at their end,
// and removes working folders of ended runs and of endpoints whose process was
// killed, and what was written to runs after they were deleted. Errors: ErrConflict when another GC is at work; ErrDamaged when a
// record can't be read: nothing is deleted then.
func (w *Workspace) GC(ctx context.Context, opts *GCOptions) (_ *GCReport, err error) {
	defer w.h.Operation(&ctx, &err, "collect garbage of", kind, w.Name())()
	if opts == nil {
		opts = &GCOptions{}
	}
	report, err := w.h.Files().Collect(ctx, roots(ctx, w.h), &files.CollectOptions{Exclusive: opts.Exclusive, DryRun: opts.DryRun})
	if err != nil {
		return nil, err
	}
	sealed := 0
	if !opts.DryRun {
		if sealed, err = w.tidy(ctx, opts); err != nil {
			return nil, err
		}
	}
	return &GCReport{Sealed: sealed, Live: report.Live, LiveBytes: report.LiveBytes, Condemned: report.Condemned, Deleted: report.Deleted,
		FreedBytes: report.Freed, Rewritten: report.Rewritten, Missing: report.Missing}, nil
}

// graceTime is the age at which what a sealing has left can't be of one that
// goes on.
const graceTime = 24 * time.Hour

// tidy does for runs and endpoints what their processes have not done. It gives the number of
// runs whose metrics were sealed.
func (w *Workspace) tidy(ctx context.Context, opts *GCOptions) (sealed int, err error) {
	if err := errors.Join(agent.Sweep(ctx, w.h), endpoint.Sweep(w.h), history.SweepSealing(w.h)); err != nil {
		return 0, err
	}
	if err := history.RecoverMetrics(ctx, w.h); err != nil {
		return 0, err
	}
	before := w.h.Now().Add(-graceTime)
	if opts.Exclusive {
		before = w.h.Now().Add(graceTime) // of whatever age
	}
	return history.SealEnded(ctx, w.h, before)
}

// roots yields the IDs of all manifests that records name.
func roots(ctx context.Context, h core.Handle) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, from := range []func(context.Context, core.Handle) iter.Seq2[string, error]{runRoots, modelRoots, loggedModelRoots, endpointRoots, datasetRoots} {
			for id, err := range from(ctx, h) {
				if !yield(id, err) || err != nil {
					return
				}
			}
		}
	}
}

func runRoots(ctx context.Context, h core.Handle) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for id, err := range h.Children(ctx, "runs/") {
			var ids []string
			if err == nil {
				ids, err = manifestsOf(ctx, h, id)
			}
			if err != nil {
				yield("", err)
				return
			}
			for _, manifest := range ids {
				if !yield(manifest, nil) {
					return
				}
			}
		}
	}
}

// manifestsOf lists the manifests of a run; one that is being deleted has none.
func manifestsOf(ctx context.Context, h core.Handle, id string) ([]string, error) {
	stored, err := history.Get(ctx, h, id)
	if errors.Is(err, azml.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return history.Manifests(ctx, h, stored.Value)
}

func modelRoots(ctx context.Context, h core.Handle) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		isVersion := func(key string) bool { return strings.Count(key, "/") == 2 }
		for stored, err := range core.List[record.Model](ctx, h, registry.Prefix, isVersion) {
			if err == nil && (stored.Value.Manifest == "" || !stored.Value.Deleted.IsZero()) {
				continue
			}
			if !yield(stored.Value.Manifest, err) || err != nil {
				return
			}
		}
	}
}

func loggedModelRoots(ctx context.Context, h core.Handle) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for stored, err := range history.LoggedModels(ctx, h) {
			var ids []string
			if err == nil {
				ids, err = history.LoggedModelFiles(stored.Value.ID).Manifests(ctx, h)
			}
			if err != nil {
				yield("", err)
				return
			}
			for _, id := range ids {
				if !yield(id, nil) {
					return
				}
			}
		}
	}
}

func datasetRoots(ctx context.Context, h core.Handle) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for stored, err := range core.List[record.Dataset](ctx, h, "datasets/", nil) {
			if err == nil && (stored.Value.Fingerprint.Manifest == "" || !stored.Value.Deleted.IsZero()) {
				continue
			}
			if !yield(stored.Value.Fingerprint.Manifest, err) || err != nil {
				return
			}
		}
	}
}

func endpointRoots(ctx context.Context, h core.Handle) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		isRecord := func(key string) bool { return strings.Count(key, "/") == 1 }
		for stored, err := range core.List[record.Endpoint](ctx, h, core.EndpointPrefix, isRecord) {
			if err == nil && stored.Value.Source == "" {
				continue
			}
			if !yield(stored.Value.Source, err) || err != nil {
				return
			}
		}
	}
}
