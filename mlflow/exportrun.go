package mlflow

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// runs carries over the runs of an experiment: the runs themselves one after
// the other, so that parents come before their children, what belongs to them at
// the same time as that of others.
func (x *exporter) runs(ctx context.Context, t *target) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var working sync.WaitGroup
	turns := make(chan struct{}, workers)
	err := x.members(ctx, t.experiment, func(rec record.Run) error {
		there, ok := t.runs[rec.ID]
		if ok {
			x.sawRun(rec.ID, there.id)
		}
		same := ok && there.tags[tagState] == stateOf(rec) && rec.Status.Terminal() && there.deleted == !rec.Deleted.IsZero()
		if x.opts.DryRun || same && !x.opts.Verify {
			x.report(func(d *Carried) { d.Runs.count(!ok, false) })
			return nil
		}
		var err error
		switch {
		case !ok:
			t.twins = true // see removeTwins
			there, err = x.createRun(ctx, t, rec)
			x.sawRun(rec.ID, there.id)
		case there.deleted && rec.Deleted.IsZero():
			x.conflict("run", rec.ID, "it is deleted on the server")
			return nil
		case there.deleted:
			err = x.post(ctx, apiPath+"runs/restore", map[string]any{"run_id": there.id}, nil)
		}
		if err != nil {
			return err
		}
		turns <- struct{}{}
		working.Go(func() {
			defer func() { <-turns }()
			if err := x.fillRun(ctx, t, rec, there, !ok); err != nil {
				stop(fmt.Errorf("run %s: %w", rec.ID, err))
			}
		})
		return ctx.Err()
	})
	working.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func (x *exporter) sawRun(here, there string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.runIDs[here] = there
}

func (x *exporter) idOfRun(here string) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.runIDs[here]
}

// removeTwins deletes runs of the server that nobody fills: an export that was killed may
// have asked for one in a request that the server handled only after this export had
// looked which runs there are, and made its own.
func (x *exporter) removeTwins(ctx context.Context, t *target) error {
	for there, err := range (&server{x.client}).runs(ctx, t.id) {
		if err != nil {
			return err
		}
		ours := x.idOfRun(there.tags[tagRun])
		if ours == "" || ours == there.id || there.deleted || !there.unfilled() {
			continue
		}
		if err := x.post(ctx, apiPath+"runs/delete", map[string]any{"run_id": there.id}, nil); err != nil {
			return err
		}
	}
	return nil
}

// stateOf identifies the run's record as it is now.
func stateOf(rec record.Run) string { return strconv.FormatInt(rec.Modified.UnixNano(), 36) }

// createRun makes the run on the server. Its request is sent once: when nobody
// knows what became of it, the tag tells.
func (x *exporter) createRun(ctx context.Context, t *target, rec record.Run) (run, error) {
	const tries = 3
	message := map[string]any{"experiment_id": t.id, "user_id": userOf(rec), "run_name": nameOf(rec), "start_time": startOf(rec).UnixMilli(),
		"tags": pairs(x.tagsOf(rec))}
	for try := 1; ; try++ {
		var answer struct {
			Run runMessage `json:"run"`
		}
		err := x.once(ctx, apiPath+"runs/create", message, &answer)
		if err == nil || !errors.Is(err, azml.ErrUnavailable) || try == tries {
			return answer.Run.run(), err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return run{}, ctx.Err()
		}
		known, _, err := x.known(ctx, t.id)
		if err != nil {
			return run{}, err
		}
		if there, ok := known[rec.ID]; ok {
			return there, nil
		}
	}
}

func nameOf(rec record.Run) string {
	if rec.DisplayName != "" {
		return rec.DisplayName
	}
	return fmt.Sprintf("%s-%d", rec.Experiment, rec.Number)
}

func userOf(rec record.Run) string {
	if rec.User != "" {
		return rec.User
	}
	return rec.CreatedBy
}

func startOf(rec record.Run) time.Time {
	if rec.Started.IsZero() {
		return rec.Created
	}
	return rec.Started
}

// tagsOf gives the run's tags for the server.
func (x *exporter) tagsOf(rec record.Run) map[string]string {
	tags := core.ChangeLabels(rec.Tags, map[string]string{tagRun: rec.ID, tagName: nameOf(rec)}, []string{tagParent})
	if tags[tagNote] == "" && rec.Description != "" {
		tags[tagNote] = rec.Description
	}
	if parent := x.idOfRun(rec.Parent); parent != "" {
		tags[tagParent] = parent
	}
	return tags
}

// fillRun carries over what belongs to a run.
func (x *exporter) fillRun(ctx context.Context, t *target, rec record.Run, there run, fresh bool) error {
	b := &batcher{client: x.client, runID: there.id}
	if err := x.labels(ctx, rec, there, b); err != nil {
		return err
	}
	if err := x.values(ctx, rec, there, b); err != nil {
		return err
	}
	if err := b.flush(ctx); err != nil {
		return err
	}
	if b.values > 0 {
		x.report(func(d *Carried) { d.Values += b.values })
	}
	added, err := x.files(ctx, rec, there)
	if err != nil {
		return err
	}
	if err := x.inputs(ctx, rec, there); err != nil {
		return err
	}
	if err := x.endRun(ctx, rec, there); err != nil {
		return err
	}
	if len(rec.ModelInputs)+len(rec.ModelOutputs) > 0 || !rec.Deleted.IsZero() {
		t.mu.Lock()
		t.open = append(t.open, openRun{rec, there})
		t.mu.Unlock()
	} else if err := x.sealRun(ctx, rec, there); err != nil {
		return err
	}
	x.report(func(d *Carried) { d.Runs.count(fresh, added || b.sent > 0) })
	return nil
}

// labels carries over parameters and tags that are missing.
func (x *exporter) labels(ctx context.Context, rec record.Run, there run, b *batcher) error {
	params := map[string]string{}
	for key, value := range rec.Params {
		if utf8.RuneCountInString(value) > maxParam {
			x.leave("ends of values of parameters that are too long", 1, rec.ID, key)
			value = string([]rune(value)[:maxParam])
		}
		params[key] = value
	}
	for key, value := range x.missing("run", rec.ID, "parameter", there.params, params) {
		if err := b.add(ctx, &b.params, keyValue{key, value}); err != nil {
			return err
		}
	}
	for key, value := range x.missing("run", rec.ID, "tag", there.tags, x.tagsOf(rec)) {
		if err := b.add(ctx, &b.tags, keyValue{key, value}); err != nil {
			return err
		}
	}
	x.leave("properties of runs", int64(len(rec.Properties)), rec.ID)
	if rec.Snapshot != "" {
		x.leave("snapshots of runs", 1, rec.ID)
	}
	return nil
}

// inputs names the datasets that the run has used.
func (x *exporter) inputs(ctx context.Context, rec record.Run, there run) error {
	known := map[string]bool{}
	for _, d := range there.datasets {
		known[d.name+"\x00"+d.digest] = true
	}
	var list []map[string]any
	for _, d := range rec.Datasets {
		if known[d.Name+"\x00"+d.Digest] {
			continue
		}
		about, err := x.dataset(ctx, rec, d)
		if err != nil {
			return err
		}
		list = append(list, map[string]any{"dataset": about, "tags": pairs(d.Tags)})
	}
	if len(list) == 0 {
		return nil
	}
	return x.post(ctx, apiPath+"runs/log-inputs", map[string]any{"run_id": there.id, "datasets": list}, nil)
}

// endRun says how the run has ended, if it has.
func (x *exporter) endRun(ctx context.Context, rec record.Run, there run) error {
	status := map[record.Status]string{record.Completed: "FINISHED", record.Failed: "FAILED", record.Canceled: "KILLED"}[rec.Status]
	switch {
	case status == "" || there.status == status && there.ended.Equal(rec.Ended.Truncate(time.Millisecond)):
		return nil
	case ended(there.status):
		x.conflict("run", rec.ID, "it has ended otherwise there: %s", there.status)
		return nil
	}
	return x.post(ctx, apiPath+"runs/update", map[string]any{"run_id": there.id, "status": status, "end_time": rec.Ended.UnixMilli()}, nil)
}

// sealRun notes that all of a run that has ended was carried over, and deletes
// it if it is deleted here.
func (x *exporter) sealRun(ctx context.Context, rec record.Run, there run) error {
	if rec.Status.Terminal() {
		if err := x.post(ctx, apiPath+"runs/set-tag", map[string]any{"run_id": there.id, "key": tagState, "value": stateOf(rec)}, nil); err != nil {
			return err
		}
	}
	if rec.Deleted.IsZero() {
		return nil
	}
	return x.post(ctx, apiPath+"runs/delete", map[string]any{"run_id": there.id}, nil)
}
