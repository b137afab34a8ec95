package mlflow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/mlflow"
	"github.com/azml-go/azml/internal/record"
)

// claim is a run that this import is at: until it is done, the run is Running
// and this process answers for it.
type claim struct {
	run    run
	stored record.Run  // as it was stored when it was claimed
	before *record.Run // how a run that was imported before was, nil for others
	fresh  bool        // it was made just now, so nothing belongs to it yet
	added  bool        // something was added to it
}

// begin makes the run, or claims it when it is there and may lack something,
// and hands it to fill. A parent comes first, so that the run's root is known.
func (i *importer) begin(ctx context.Context, r run, fill func(*claim)) error {
	if i.handled[r.id] {
		return nil
	}
	i.handled[r.id] = true
	if core.RunID.Check(r.id) != nil {
		i.leave("runs whose IDs can't be IDs here", 1, r.id)
		return nil
	}
	i.begun(r.id)
	i.fitTimes(r.id, "runs", &r.started, &r.ended, &r.deletedAt)
	stored, err := history.Get(ctx, i.h, r.id)
	switch {
	case errors.Is(err, azml.ErrNotFound):
		return i.create(ctx, r, fill)
	case err != nil:
		return err
	}
	return i.resume(ctx, r, stored, fill)
}

// create makes a run that is not there.
func (i *importer) create(ctx context.Context, r run, fill func(*claim)) error {
	if i.opts.DryRun {
		i.report(func(d *Carried) { d.Runs.Created++ })
		return nil
	}
	draft := i.draft(r)
	if err := i.setParent(ctx, &draft, r, fill); err != nil {
		return err
	}
	owner := i.h.Owner()
	draft.Owner, draft.Status, draft.Reason = &owner, record.Running, reasonImporting
	stored, err := history.Create(ctx, i.h, draft)
	if errors.Is(err, azml.ErrExists) {
		return fmt.Errorf("%w: another import makes it at the same time", azml.ErrConflict)
	}
	if err == nil {
		fill(&claim{run: r, stored: stored.Value, fresh: true})
	}
	return err
}

const reasonImporting = "being carried over from MLflow"

// draft is what the run becomes, but for what says how far it is.
func (i *importer) draft(r run) record.Run {
	rec := record.Run{ID: r.id, Experiment: i.keys[r.experiment], Type: mlflow.RunType, DisplayName: i.fit("names of runs", cmp.Or(r.name, r.tags[tagName]), maxName, r.id),
		User: r.user, Tags: map[string]string{}, Params: map[string]string{}, Started: r.started, Deleted: i.deletedAt(r),
		Import: &record.Import{From: i.src.name()}, ModelInputs: r.modelsIn}
	for key, value := range r.tags {
		i.label(r.id, "tags", rec.Tags, key, value, maxTag)
	}
	for key, value := range r.params {
		i.label(r.id, "parameters", rec.Params, key, value, maxParam)
	}
	if rec.User == "" {
		rec.User = r.tags[tagUser]
	}
	if rec.User == "" {
		i.leave("users of runs that have none: who imports is shown", 1, r.id)
	}
	if r.started.IsZero() {
		i.leave("start times of runs that have none: that of the import is shown", 1, r.id)
	}
	if rec.DisplayName != "" {
		rec.Tags[tagName] = rec.DisplayName // which mirrors it
	}
	for _, out := range r.modelsOut {
		rec.ModelOutputs = append(rec.ModelOutputs, record.ModelOutput{ModelID: out.id, Step: out.step})
	}
	for _, d := range r.datasets {
		rec.Datasets = append(rec.Datasets, record.DatasetInput{Name: d.name, Digest: d.digest, Tags: d.tags})
	}
	return rec
}

// deletedAt gives when the run was deleted, zero when it was not. MLflow deletes
// the runs of a deleted experiment with it; here they are shown as deleted for
// as long as the experiment is.
func (i *importer) deletedAt(r run) time.Time {
	switch e := i.experiments[r.experiment]; {
	case !r.deleted || e.deleted && !r.deletedAt.Before(e.updated), e.deleted && r.deletedAt.IsZero():
		return time.Time{}
	case r.deletedAt.IsZero():
		return i.h.Now()
	}
	return r.deletedAt
}

// The longest names and values of a run here, in characters. MLflow's own
// limits are the same, or were lower.
const (
	maxName  = 256
	maxTag   = 8000
	maxParam = 6000
	maxKey   = 250
)

// label takes in a tag or a parameter of a run.
func (i *importer) label(id, what string, into map[string]string, key, value string, longest int) {
	if key == "" || utf8.RuneCountInString(key) > maxKey || !utf8.ValidString(key) {
		i.leave(what+" whose names can't be stored", 1, id, key)
		return
	}
	into[key] = i.fit("values of "+what, value, longest, id, key)
}

// fit cuts a text that is too long. name is what leave takes.
func (i *importer) fit(what, text string, longest int, name ...string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if utf8.RuneCountInString(text) <= longest {
		return text
	}
	i.leave("ends of "+what+" that are too long", 1, name...)
	return string([]rune(text)[:longest])
}

// setParent makes the run a child of the run that its tag names, which is
// carried over first if it is wanted.
func (i *importer) setParent(ctx context.Context, draft *record.Run, r run, fill func(*claim)) error {
	id := r.tags[tagParent]
	if id == "" || core.RunID.Check(id) != nil {
		return nil
	}
	parent, err := history.Get(ctx, i.h, id)
	if errors.Is(err, azml.ErrNotFound) && !i.handled[id] {
		there, err := i.src.run(ctx, id)
		if errors.Is(err, azml.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if i.keys[there.experiment] == "" { // of an experiment that is not wanted
			return nil
		}
		if err := i.begin(ctx, there, fill); err != nil {
			return err
		}
	}
	if errors.Is(err, azml.ErrNotFound) {
		parent, err = history.Get(ctx, i.h, id)
	}
	if errors.Is(err, azml.ErrNotFound) {
		return nil
	}
	draft.Parent, draft.Root = id, parent.Value.Root
	return err
}

// resume goes on with a run that is there.
func (i *importer) resume(ctx context.Context, r run, stored core.Stored[record.Run], fill func(*claim)) error {
	have := stored.Value
	switch {
	case have.Import == nil:
		i.conflict("run", r.id, "a run of this ID was made in the workspace")
		return nil
	case have.Import.State == r.state() && have.Status.Terminal() && !i.opts.Verify, i.opts.DryRun:
		left := i.ended(r.id)
		for reason, n := range have.Import.LeftOut {
			i.leave(reason, n-left[reason], r.id)
		}
		i.report(func(d *Carried) { d.Runs.Unchanged++ })
		return nil
	}
	stored, err := agent.Reap(ctx, i.h, stored)
	if err != nil {
		return err
	}
	c, want, owner := &claim{run: r}, i.draft(r), i.h.Owner()
	stored, err = history.Update(ctx, i.h, r.id, core.Quiet, func(rec *record.Run) error {
		if rec.Owner != nil && !rec.Status.Terminal() {
			return fmt.Errorf("%w: the process %d on %s is at it", azml.ErrConflict, rec.Owner.PID, rec.Owner.Host)
		}
		if c.before = nil; rec.Import.State != "" {
			before := *rec
			c.before = &before
		}
		i.merge(rec, want, c)
		rec.Owner, rec.Import.State = &owner, ""
		rec.Status, rec.Reason, rec.WaitsFor, rec.Since = record.Running, reasonImporting, "", i.h.Now()
		return nil
	})
	if err == nil {
		c.stored = stored.Value
		fill(c)
	}
	return err
}

// merge adds to a run what it lacks, and lists what differs.
func (i *importer) merge(rec *record.Run, want record.Run, c *claim) {
	if rec.DisplayName != want.DisplayName {
		i.conflict("run", rec.ID, "its name is %q here and %q there", rec.DisplayName, want.DisplayName)
	}
	if rec.Deleted.IsZero() != want.Deleted.IsZero() {
		i.conflict("run", rec.ID, "it is deleted in one of the two only")
	}
	want.Tags[tagName] = rec.DisplayName
	params, tags := i.missing("run", rec.ID, "parameter", rec.Params, want.Params), i.missing("run", rec.ID, "tag", rec.Tags, want.Tags)
	rec.Params, rec.Tags = core.ChangeLabels(rec.Params, params, nil), core.ChangeLabels(rec.Tags, tags, nil)
	c.added = len(params)+len(tags) > 0
	for _, d := range want.Datasets {
		if !slices.ContainsFunc(rec.Datasets, func(have record.DatasetInput) bool { return have.Name == d.Name && have.Digest == d.Digest }) {
			rec.Datasets, c.added = append(slices.Clip(rec.Datasets), d), true
		}
	}
	for _, id := range want.ModelInputs {
		if !slices.Contains(rec.ModelInputs, id) {
			rec.ModelInputs, c.added = append(slices.Clip(rec.ModelInputs), id), true
		}
	}
	for _, out := range want.ModelOutputs {
		if !slices.Contains(rec.ModelOutputs, out) {
			rec.ModelOutputs, c.added = append(slices.Clip(rec.ModelOutputs), out), true
		}
	}
}

// fill carries over what belongs to a run, and sets it to how it was.
func (i *importer) fill(ctx context.Context, c *claim) (err error) {
	ctx, stop := context.WithCancelCause(ctx)
	keeping := make(chan struct{})
	go func() {
		defer close(keeping)
		if err := history.Keep(ctx, i.h, c.stored); err != nil {
			stop(err)
		}
	}()
	points, err := i.contents(ctx, c)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	stop(nil)
	<-keeping
	if err == nil {
		err = i.finish(context.WithoutCancel(ctx), c, points)
	}
	if err != nil && !errors.Is(err, history.ErrTaken) {
		return errors.Join(err, i.giveUp(context.WithoutCancel(ctx), c, err))
	}
	return err
}

// contents carries over what belongs to a run. It gives the number of values
// that are stored, by their writers.
func (i *importer) contents(ctx context.Context, c *claim) (map[string]uint64, error) {
	if err := i.datasets(ctx, c); err != nil {
		return nil, err
	}
	points, err := i.metrics(ctx, c)
	if err != nil {
		return nil, err
	}
	added, err := i.artifacts(ctx, c.run.place(), history.RunFiles(c.stored), c.fresh)
	c.added = c.added || added
	return points, err
}

func (i *importer) datasets(ctx context.Context, c *claim) error {
	for _, d := range c.run.datasets {
		rec := record.RunDataset{Name: d.name, Digest: d.digest, SourceType: d.sourceType, Source: d.source, SchemaText: d.schema, Profile: d.profile}
		_, err := core.CreateQuiet(ctx, i.h, history.DatasetKey(c.stored, d.name, d.digest), rec)
		if err != nil && !errors.Is(err, azml.ErrExists) {
			return err
		}
	}
	return nil
}

// endTime bounds the last writes of a run when the import is ended.
const endTime = time.Minute

// finish sets the run to how it was: in MLflow, or here before if it had been
// imported and has ended.
func (i *importer) finish(ctx context.Context, c *claim, points map[string]uint64) error {
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	left := i.ended(c.run.id)
	stored, err := history.Update(ctx, i.h, c.run.id, core.Quiet, func(rec *record.Run) error {
		if rec.Owner == nil || rec.Owner.ID != i.h.Owner().ID || rec.Status.Terminal() {
			return fmt.Errorf("%w: it is %s", history.ErrTaken, rec.Status)
		}
		rec.Owner = nil
		if !c.run.started.IsZero() {
			rec.Created, rec.Started = c.run.started, c.run.started
		}
		rec.Import.State, rec.Import.LeftOut = c.run.state(), left
		rec.Kept = history.Kept(i.h, *rec, rec.Kept, points)
		if b := c.before; b != nil && (ownStatus(b) || !ended(c.run.status)) {
			rec.Status, rec.Reason, rec.WaitsFor, rec.Since, rec.Owner = b.Status, b.Reason, b.WaitsFor, b.Since, b.Owner
			return nil
		}
		setStatus(rec, c.run)
		return nil
	})
	if err != nil {
		return err
	}
	if stored.Value.Status.Terminal() {
		history.SealLater(i.h, c.run.id)
	}
	i.report(func(d *Carried) { d.Runs.count(c.fresh, c.added || c.before == nil) })
	return nil
}

// ownStatus tells whether the status that an imported run has is its own: it has
// ended, or goes on again since.
func ownStatus(rec *record.Run) bool {
	return slices.ContainsFunc(rec.History, func(t record.Transition) bool { return t.Status.Terminal() })
}

// setStatus makes the run's statuses those that it had in MLflow.
func setStatus(rec *record.Run, r run) {
	status := map[string]record.Status{"SCHEDULED": record.NotStarted, "FINISHED": record.Completed, "FAILED": record.Failed, "KILLED": record.Canceled}[r.status]
	if status == "" {
		status = record.Running
	}
	rec.Status, rec.Reason, rec.WaitsFor, rec.Error = status, "told by a client of MLflow", "", nil
	rec.Since, rec.Ended, rec.History = rec.Started, time.Time{}, nil
	if status != record.NotStarted {
		rec.History = append(rec.History, record.Transition{Status: record.Running, Time: rec.Since, Reason: rec.Reason})
	}
	if status != record.Running {
		if status.Terminal() {
			if rec.Ended = r.ended; rec.Ended.IsZero() {
				rec.Ended = rec.Started
			}
			rec.Since = rec.Ended
		}
		rec.History = append(rec.History, record.Transition{Status: status, Time: rec.Since, Reason: rec.Reason})
	}
}

// giveUp marks a run that could not be carried over whole. The next import goes
// on with it.
func (i *importer) giveUp(ctx context.Context, c *claim, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	step := history.Step{To: record.Failed, Reason: "it could not be carried over whole, import it again: " + cause.Error(), Owner: i.h.Owner().ID}
	if errors.Is(cause, azml.ErrCanceled) || errors.Is(cause, context.Canceled) {
		step.To = record.Canceled
	}
	_, err := history.Transition(ctx, i.h, c.run.id, step)
	return err
}

// sortedKeys gives a map's keys in their order.
func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
