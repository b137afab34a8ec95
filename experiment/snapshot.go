package experiment

import (
	"context"
	"os"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/gitinfo"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/snapshot"
)

// snapshotProperty is the property of a run that names its snapshot.
const snapshotProperty = "ContentSnapshotId"

// taken is a snapshot with what is known of the folder.
type taken struct {
	id       string
	git      map[string]string
	warnings []string
}

// scan looks what a snapshot of the folder holds, the required files among it.
func (e *Experiment) scan(ctx context.Context, dir string, required ...string) (*snapshot.Plan, error) {
	return snapshot.Scan(ctx, dir, &snapshot.Options{Require: required, Exclude: e.h.Private()})
}

// takeSnapshot stores what was scanned.
func (e *Experiment) takeSnapshot(ctx context.Context, plan *snapshot.Plan, progress func(done, total int)) (taken, error) {
	t := taken{warnings: plan.Warnings}
	done := 0
	var err error
	t.id, _, _, err = snapshot.Take(ctx, e.h.Files(), plan, &snapshot.TakeOptions{
		OnSkip: func(s snapshot.Skipped) { t.warnings = append(t.warnings, s.Path+" was left out: "+s.Reason) },
		OnEntry: func(snapshot.Entry) {
			if done++; progress != nil {
				progress(done, len(plan.Entries))
			}
		},
	})
	if err != nil {
		return taken{}, err
	}
	t.git, err = gitinfo.Read(ctx, plan.Dir, os.LookupEnv)
	return t, err
}

// fill puts the snapshot into a run's record.
func (t taken) fill(r *record.Run) {
	r.Snapshot = t.id
	r.Properties = core.ChangeLabels(r.Properties, t.git, nil)
	r.Properties[snapshotProperty] = t.id
	r.Warnings = append(r.Warnings, t.warnings...)
}
