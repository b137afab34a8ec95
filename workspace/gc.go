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
	"github.com/azml-go/azml/internal/rundata"
)

// GCOptions are the options of Workspace.GC.
type GCOptions struct {
	// DryRun changes nothing and reports what would be done. Contents of what
	// would be forgotten only in this run, and of files that were replaced or
	// removed since the last one, count as in use then.
	DryRun bool
	// Exclusive says that no other process writes to the workspace now: what
	// nothing reaches is deleted at once instead of after two grace periods of
	// a day.
	Exclusive bool
	// Retain is how long runs that an MLflow client has deleted can be restored,
	// and tokens that were revoked or have expired are listed: default
	// DefaultRetain.
	Retain time.Duration
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
	// Runs is the number of runs that were removed for good, a while after an
	// MLflow client had deleted them.
	Runs int `json:"runs"`
	// Tokens is the number of tokens that were forgotten, a while after they had
	// been revoked or had expired.
	Tokens int `json:"tokens"`
}

// GC removes file contents that nothing reaches any more: those of deleted
// runs, models and endpoints, of files that were replaced or removed, and what interrupted uploads left; an upload in
// parts is interrupted when it was begun a week ago. It is safe
// beside writers in other processes, and can be stopped at any moment: what
// nothing reaches is first only condemned, and deleted by a run that comes a
// day later or more. It also stores metrics that processes which died have left on this
// machine, seals the metrics of ended runs that were not sealed at their end,
// and removes working folders of ended runs and of endpoints whose process was
// killed, and what was written to runs after they were deleted. What was deleted
// and is kept for a while, see GCOptions.Retain, is removed for good after that.
// Errors: ErrConflict when another GC is at work; ErrDamaged when a record can't
// be read: no content is deleted then.
func (w *Workspace) GC(ctx context.Context, opts *GCOptions) (_ *GCReport, err error) {
	defer w.h.Operation(&ctx, &err, "collect garbage of", kind, w.Name())()
	if opts == nil {
		opts = &GCOptions{}
	}
	runs, tokens, err := w.forget(ctx, opts)
	if err != nil {
		return nil, err
	}
	report, err := w.h.Files().Collect(ctx, roots(ctx, w.h, !opts.DryRun), &files.CollectOptions{Exclusive: opts.Exclusive, DryRun: opts.DryRun})
	if err != nil {
		return nil, err
	}
	sealed := 0
	if !opts.DryRun {
		if sealed, err = w.tidy(ctx, opts); err != nil {
			return nil, err
		}
	}
	return &GCReport{Sealed: sealed, Runs: runs, Tokens: tokens, Live: report.Live, LiveBytes: report.LiveBytes, Condemned: report.Condemned, Deleted: report.Deleted,
		FreedBytes: report.Freed, Rewritten: report.Rewritten, Missing: report.Missing}, nil
}

// graceTime is the age at which what a sealing has left can't be of one that
// goes on.
const graceTime = 24 * time.Hour

// tidy does for runs and endpoints what their processes have not done. It gives the number of
// runs whose metrics were sealed.
func (w *Workspace) tidy(ctx context.Context, opts *GCOptions) (sealed int, err error) {
	if err := errors.Join(agent.Sweep(ctx, w.h), endpoint.Sweep(w.h), rundata.Sweep(w.h), history.SweepSealing(w.h)); err != nil {
		return 0, err
	}
	if err := history.RecoverMetrics(ctx, w.h); err != nil {
		return 0, err
	}
	return history.SealEnded(ctx, w.h, w.graceEnd(opts))
}

// graceEnd gives the time before which everything is that no writer is at.
func (w *Workspace) graceEnd(opts *GCOptions) time.Time {
	if opts.Exclusive {
		return w.h.Now().Add(graceTime) // of whatever age
	}
	return w.h.Now().Add(-graceTime)
}

// roots yields the IDs of all manifests that records name. With condense, lists
// of files are made to name nothing that was replaced or removed.
func roots(ctx context.Context, h core.Handle, condense bool) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, from := range []func(context.Context, core.Handle, bool) iter.Seq2[string, error]{runRoots, modelRoots, loggedModelRoots, uploadRoots, endpointRoots, datasetRoots, environmentRoots} {
			for id, err := range from(ctx, h, condense) {
				if !yield(id, err) || err != nil {
					return
				}
			}
		}
	}
}

func runRoots(ctx context.Context, h core.Handle, condense bool) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for id, err := range h.Children(ctx, "runs/") {
			var ids []string
			if err == nil {
				ids, err = manifestsOf(ctx, h, id, condense)
			}
			if !each(yield, ids, err) {
				return
			}
		}
	}
}

// manifestsOf lists the manifests of a run; one that is being deleted has none.
func manifestsOf(ctx context.Context, h core.Handle, id string, condense bool) ([]string, error) {
	stored, err := history.Get(ctx, h, id)
	if errors.Is(err, azml.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	ids, err := listed(ctx, h, history.RunFiles(stored.Value), condense)
	if stored.Value.Snapshot != "" {
		ids = append(ids, stored.Value.Snapshot)
	}
	return ids, err
}

// listed gives the manifests of a list of files.
func listed(ctx context.Context, h core.Handle, list history.FileList, condense bool) ([]string, error) {
	ids, stale, err := list.Manifests(ctx, h)
	if err != nil || !stale || !condense {
		return ids, err
	}
	if err := list.Condense(ctx, h); err != nil {
		return nil, err
	}
	ids, _, err = list.Manifests(ctx, h)
	return ids, err
}

// each yields the IDs, or the error. It gives false when nothing more is wanted.
func each(yield func(string, error) bool, ids []string, err error) bool {
	if err != nil {
		yield("", err)
		return false
	}
	for _, id := range ids {
		if !yield(id, nil) {
			return false
		}
	}
	return true
}

func modelRoots(ctx context.Context, h core.Handle, _ bool) iter.Seq2[string, error] {
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

func loggedModelRoots(ctx context.Context, h core.Handle, condense bool) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for stored, err := range history.LoggedModels(ctx, h) {
			var ids []string
			if err == nil {
				ids, err = listed(ctx, h, history.LoggedModelFiles(stored.Value.ID), condense)
			}
			if !each(yield, ids, err) {
				return
			}
		}
	}
}

func uploadRoots(ctx context.Context, h core.Handle, _ bool) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		ids, err := history.UploadManifests(ctx, h)
		each(yield, ids, err)
	}
}

func datasetRoots(ctx context.Context, h core.Handle, _ bool) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for stored, err := range core.List[record.Dataset](ctx, h, core.DatasetPrefix, nil) {
			if err == nil && (stored.Value.Fingerprint.Manifest == "" || !stored.Value.Deleted.IsZero()) {
				continue
			}
			if !yield(stored.Value.Fingerprint.Manifest, err) || err != nil {
				return
			}
		}
	}
}

func environmentRoots(ctx context.Context, h core.Handle, _ bool) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for stored, err := range core.List[record.Environment](ctx, h, "environments/", nil) {
			if err == nil && stored.Value.Docker.BuildContext == nil {
				continue
			}
			var id string
			if err == nil {
				id = stored.Value.Docker.BuildContext.Files
			}
			if !yield(id, err) || err != nil {
				return
			}
		}
	}
}

func endpointRoots(ctx context.Context, h core.Handle, _ bool) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		isRecord := func(key string) bool { return strings.Count(key, "/") == 1 }
		for stored, err := range core.List[record.Endpoint](ctx, h, core.EndpointPrefix, isRecord) {
			if err != nil {
				yield("", err)
				return
			}
			for _, revision := range stored.Value.Revisions() { // those that can be gone back to, too
				for _, d := range revision.Deployments {
					if d.Source != "" && !yield(d.Source, nil) {
						return
					}
				}
			}
		}
	}
}
