package mlflow

import (
	"context"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

func runRoutes() []route {
	return []route{
		{"POST", "/mlflow/runs/create", rpc(call.createRun)},
		{"GET", "/mlflow/runs/get", rpc(call.getRun)},
		{"POST", "/mlflow/runs/update", rpc(call.updateRun)},
		{"POST", "/mlflow/runs/delete", rpc(call.deleteRun)},
		{"POST", "/mlflow/runs/restore", rpc(call.restoreRun)},
		{"POST", "/mlflow/runs/search", rpc(call.searchRuns)},
	}
}

// typeMLflow is the type of runs that MLflow clients make. No process of azml
// answers for them: they go on until the client says that they have ended.
const typeMLflow = "mlflow.run"

// The tags that say what the record has fields for.
const (
	nameTag   = "mlflow.runName"
	parentTag = "mlflow.parentRunId"
	userTag   = "mlflow.user"
)

// run finds a run. All that is done with a run comes by here.
func (c call) run(ctx context.Context, id string) (core.Stored[record.Run], error) {
	stored, err := history.Get(ctx, c.core, id)
	if errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrInvalid) {
		return stored, failf(codeNotFound, "Run with id=%s not found", id)
	}
	if err == nil {
		err = c.scope.checkRun(stored.Value)
	}
	if err != nil {
		return stored, err
	}
	return agent.Reap(ctx, c.core, stored)
}

// activeRun is run for what changes a run: it must not be deleted.
func (c call) activeRun(ctx context.Context, id string) (core.Stored[record.Run], error) {
	stored, err := c.run(ctx, id)
	if err != nil {
		return stored, err
	}
	deleted, err := c.deleted(ctx, stored.Value)
	if err == nil && deleted {
		err = notActive(id)
	}
	return stored, err
}

func notActive(id string) error {
	return invalid("The run %s must be in the 'active' state. Current state is deleted.", id)
}

// deleted tells whether the run is deleted, by itself or with its experiment.
func (c call) deleted(ctx context.Context, r record.Run) (bool, error) {
	if !r.Deleted.IsZero() {
		return true, nil
	}
	e, err := c.experiment(ctx, r.Experiment)
	return err == nil && !e.Value.Archived.IsZero(), err
}

func (c call) createRun(ctx context.Context, req *createRun) (*runResponse, error) {
	experiment, err := c.activeExperiment(ctx, req.ExperimentID)
	if err != nil {
		return nil, err
	}
	draft := record.Run{ID: core.NewID(16), Experiment: experiment.Value.Name, Type: typeMLflow, Status: record.Running, Reason: "told by a client",
		User: req.UserID, Tags: map[string]string{}}
	if draft.Started, err = timeOf("start_time", req.StartTime); err != nil {
		return nil, err
	}
	for _, tag := range req.Tags {
		draft.Tags[tag.Key] = cut(tag.Value, maxTag)
	}
	c.scope.adopt(&draft)
	if err := setName(&draft, req.RunName); err != nil {
		return nil, err
	}
	if err := core.CheckRunTags(draft.Tags); err != nil {
		return nil, err
	}
	if err := c.setParent(ctx, &draft); err != nil {
		return nil, err
	}
	if err := c.store(ctx, experiment); err != nil {
		return nil, err
	}
	stored, err := history.Create(ctx, c.core, draft)
	if err != nil {
		return nil, err
	}
	c.scope.note(stored.Value.ID)
	c.loggers.made(c.core, history.Ref(stored.Value.ID))
	return &runResponse{runMessage{Info: runInfoView(stored.Value, experiment.Value), Data: runData{Tags: tagsView(stored.Value)}}}, nil
}

// timeOf gives the time that a parameter says in milliseconds since 1970; 0 is
// none. Some clients give nanoseconds, which are years that nobody can store.
func timeOf(parameter string, millis int64) (time.Time, error) {
	if millis == 0 {
		return time.Time{}, nil
	}
	t := time.UnixMilli(millis).UTC()
	if _, err := t.MarshalJSON(); err != nil {
		return time.Time{}, invalid("Invalid value %d for parameter '%s' supplied: give milliseconds since 1970, of the years 0 to 9999", millis, parameter)
	}
	return t, nil
}

// setName sets the name of a new run: that of the request, or of its tag, which
// must be the same if both are given, or a random one.
func setName(draft *record.Run, name string) error {
	tag := draft.Tags[nameTag]
	if name != "" && tag != "" && name != tag {
		return invalid("Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values (run_name='%s', mlflow.runName='%s').", name, tag)
	}
	if name == "" {
		name = tag
	}
	if name == "" {
		name = randomName()
	}
	return rename(draft, name)
}

// rename sets the run's name, and the tag that mirrors it.
func rename(r *record.Run, name string) error {
	const longest = 256
	if utf8.RuneCountInString(name) > longest {
		return tooLong("run_name", longest)
	}
	r.DisplayName = name
	r.Tags = core.ChangeLabels(r.Tags, map[string]string{nameTag: name}, nil)
	return nil
}

// setParent makes the run a child of the run that its tag names, if there is one.
func (c call) setParent(ctx context.Context, draft *record.Run) error {
	id := draft.Tags[parentTag]
	if id == "" {
		return nil
	}
	parent, err := c.run(ctx, id)
	if asNotFound(err) {
		return nil
	}
	draft.Parent, draft.Root = id, parent.Value.Root
	return err
}

func (c call) getRun(ctx context.Context, req *getRun) (*runResponse, error) {
	id, err := req.id()
	if err != nil {
		return nil, err
	}
	c.scope.noteRead(id, c.core.Now())
	stored, err := c.run(ctx, id)
	if err != nil {
		return nil, err
	}
	experiment, err := c.experiment(ctx, stored.Value.Experiment)
	if err != nil {
		return nil, err
	}
	view, err := c.runView(ctx, stored.Value, experiment.Value)
	if err != nil {
		return nil, err
	}
	return &runResponse{view}, nil
}

// updateRun sets what a client says of its run. What was logged is durable when
// the run is said to have ended.
func (c call) updateRun(ctx context.Context, req *updateRun) (*updateRunResponse, error) {
	id, err := req.id()
	if err != nil {
		return nil, err
	}
	before, err := c.activeRun(ctx, id)
	if err != nil {
		return nil, err
	}
	told := history.Told{Status: statusOf(req.Status, before.Value.Status)}
	if told.Status.Terminal() {
		if req.EndTime != nil {
			if told.Ended, err = timeOf("end_time", *req.EndTime); err != nil {
				return nil, err
			}
		}
		if told.Points, err = c.settled(ctx, before.Value); err != nil {
			return nil, err
		}
	}
	told.Change = func(r *record.Run) error {
		if told.Status == record.Running && r.MadeIn != c.scope.madeIn() {
			r.MadeIn = "" // somebody else has taken it on
		}
		if req.RunName == "" {
			return nil
		}
		return rename(r, req.RunName)
	}
	stored, err := c.tell(ctx, before.Value, told)
	if err != nil {
		return nil, err
	}
	if stored.Value.Status.Terminal() {
		history.SealLater(c.core, id)
	}
	experiment, err := c.experiment(ctx, stored.Value.Experiment)
	if err != nil {
		return nil, err
	}
	return &updateRunResponse{runInfoView(stored.Value, experiment.Value)}, nil
}

// tell sets what a client says of its run. The end has its own audit line.
func (c call) tell(ctx context.Context, r record.Run, told history.Told) (stored core.Stored[record.Run], err error) {
	tell := func() error {
		stored, err = history.Tell(ctx, c.core, r.ID, told)
		return err
	}
	if told.Status.Terminal() {
		err = tell()
		return stored, err
	}
	err = c.audited(ctx, history.Ref(r.ID), r.Status.Terminal(), "name and status", tell)
	return stored, err
}

// settled makes durable what was logged to a run that is said to have ended. It
// gives how many points the closed writers have stored. Of a run that a process
// of azml answers for, that process says the end, and more may come.
func (c call) settled(ctx context.Context, r record.Run) (map[string]uint64, error) {
	if r.Owner != nil && !r.Status.Terminal() {
		return nil, c.writers.flush(ctx, r.ID)
	}
	return c.writers.finish(ctx, logID{id: r.ID})
}

func (c call) deleteRun(ctx context.Context, req *deleteRun) (nothing, error) {
	return c.setDeleted(ctx, req.RunID, true)
}

func (c call) restoreRun(ctx context.Context, req *restoreRun) (nothing, error) {
	return c.setDeleted(ctx, req.RunID, false)
}

// setDeleted deletes or restores a run. Doing it again changes nothing.
func (c call) setDeleted(ctx context.Context, id string, deleted bool) (nothing, error) {
	if _, err := c.run(ctx, id); err != nil {
		return nothing{}, err
	}
	defer c.writers.forget(logID{id: id})
	note := core.Updated(map[bool]string{true: "deleted", false: "restored"}[deleted])
	_, err := history.Update(ctx, c.core, id, note, func(r *record.Run) error {
		if deleted == !r.Deleted.IsZero() {
			return core.ErrNoChange
		}
		if !r.Expunged.IsZero() { // it is being removed for good
			return failf(codeNotFound, "Run with id=%s not found", id)
		}
		r.Deleted = core.When(deleted, c.core.Now())
		return nil
	})
	return nothing{}, err
}

// statusOf gives azml's status for MLflow's, empty for none.
func statusOf(s runStatus, now record.Status) record.Status {
	switch s {
	case statusRunning:
		return record.Running
	case statusFinished:
		return record.Completed
	case statusFailed:
		return record.Failed
	case statusKilled:
		return record.Canceled
	case statusScheduled:
		if statusView(now) == statusScheduled {
			return ""
		}
		return record.NotStarted
	}
	return ""
}
