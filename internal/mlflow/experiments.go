package mlflow

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

func experimentRoutes() []route {
	return []route{
		{"POST", "/mlflow/experiments/create", rpc(call.createExperiment)},
		{"GET", "/mlflow/experiments/get", rpc(call.getExperiment)},
		{"GET", "/mlflow/experiments/get-by-name", rpc(call.getExperimentByName)},
		{"POST", "/mlflow/experiments/search", rpc(call.searchExperiments)},
		{"GET", "/mlflow/experiments/search", rpc(call.searchExperiments)},
		{"POST", "/mlflow/experiments/delete", rpc(call.deleteExperiment)},
		{"POST", "/mlflow/experiments/restore", rpc(call.restoreExperiment)},
		{"POST", "/mlflow/experiments/update", rpc(call.updateExperiment)},
		{"POST", "/mlflow/experiments/set-experiment-tag", rpc(call.setExperimentTag)},
		{"POST", "/mlflow/experiments/delete-experiment-tag", rpc(call.deleteExperimentTag)},
	}
}

// experiment finds the experiment of that ID, its name in the workspace. All
// that is done with an experiment comes by here.
func (c call) experiment(ctx context.Context, id string) (core.Stored[record.Experiment], error) {
	stored, err := c.findExperiment(ctx, id)
	if err == nil {
		err = c.scope.checkExperiment(stored.Value.Name)
	}
	return stored, err
}

// findExperiment is experiment without regard to what the client reaches. The
// one for runs that name none is there also when nobody has used it yet: then
// it has no ETag.
func (c call) findExperiment(ctx context.Context, id string) (core.Stored[record.Experiment], error) {
	if id == "" {
		id = defaultKey
	}
	stored, err := history.Experiment(ctx, c.core, id)
	switch {
	case errors.Is(err, azml.ErrNotFound) && id == defaultKey:
		return core.Stored[record.Experiment]{Value: c.defaultExperiment()}, nil
	case errors.Is(err, azml.ErrNotFound), errors.Is(err, azml.ErrInvalid):
		return stored, failf(codeNotFound, "No Experiment with id=%s exists", id)
	}
	return stored, err
}

// activeExperiment is experiment for what needs one that is not deleted.
func (c call) activeExperiment(ctx context.Context, id string) (core.Stored[record.Experiment], error) {
	stored, err := c.experiment(ctx, id)
	if err == nil && !stored.Value.Archived.IsZero() {
		return stored, invalid("The experiment %s must be in the 'active' state. Current state is deleted.", stored.Value.Name)
	}
	return stored, err
}

func (c call) defaultExperiment() record.Experiment {
	rec := record.Experiment{ID: core.NewUUID(), Name: defaultKey, Title: defaultTitle}
	rec.Created = c.core.Workspace().Created
	rec.Modified = rec.Created
	return rec
}

// store stores an experiment that experiment gave without a record.
func (c call) store(ctx context.Context, stored core.Stored[record.Experiment]) error {
	if stored.ETag != "" {
		return nil
	}
	_, err := core.Create(ctx, c.core, history.ExperimentRef(stored.Value.Name), stored.Value)
	if errors.Is(err, azml.ErrExists) {
		return nil
	}
	return err
}

// storeDefault stores the experiment that is there from the beginning, for searches,
// which find what is stored. That is nobody's doing but the workspace's. Where it can't
// be stored, as in a folder that is only read, the search goes on without it.
func (c call) storeDefault(ctx context.Context) {
	if c.scope.bounded() || c.defaultStored.Load() {
		return
	}
	c.core = c.Handler.core
	stored, err := c.findExperiment(ctx, defaultKey)
	if err == nil {
		err = c.store(ctx, stored)
	}
	if err != nil {
		c.core.Logger().DebugContext(ctx, "the experiment Default could not be stored for a search", "error", err)
		return
	}
	c.defaultStored.Store(true)
}

// change changes the record of an experiment that is not deleted.
func (c call) change(ctx context.Context, id, detail string, change func(*record.Experiment) error) error {
	stored, err := c.activeExperiment(ctx, id)
	if err != nil {
		return err
	}
	if err := c.store(ctx, stored); err != nil {
		return err
	}
	_, err = core.Update(ctx, c.core, history.ExperimentRef(stored.Value.Name), core.Updated(detail), change)
	return err
}

func (c call) createExperiment(ctx context.Context, req *createExperiment) (*createExperimentResponse, error) {
	if err := checkExperimentName(req.Name); err != nil {
		return nil, err
	}
	if err := checkLocation(req.ArtifactLocation); err != nil {
		return nil, err
	}
	if err := c.scope.checkExperiment(experimentKey(req.Name)); err != nil {
		return nil, err
	}
	rec := record.Experiment{ID: core.NewUUID(), Name: experimentKey(req.Name), ArtifactLocation: strings.TrimSuffix(req.ArtifactLocation, "/")}
	if rec.Name != req.Name {
		rec.Title = req.Name
	}
	rec.Tags = map[string]string{}
	for _, tag := range req.Tags {
		rec.Tags[tag.Key] = tag.Value
	}
	if err := core.CheckExperimentTags(rec.Tags); err != nil {
		return nil, err
	}
	_, err := core.Create(ctx, c.core, history.ExperimentRef(rec.Name), rec)
	if errors.Is(err, azml.ErrExists) {
		return nil, failf(codeExists, "Experiment(name=%s) already exists. Error: an experiment has, or had, that name", req.Name)
	}
	if err != nil {
		return nil, err
	}
	return &createExperimentResponse{rec.Name}, nil
}

func checkExperimentName(name string) error {
	switch {
	case strings.TrimSpace(name) == "" || !utf8.ValidString(name):
		return invalid("Invalid experiment name: '%s'", name)
	case utf8.RuneCountInString(name) > maxExperimentName:
		return tooLong("name", maxExperimentName)
	}
	return nil
}

// checkLocation checks where clients are to keep artifacts: it is theirs to
// read, nothing here follows it.
func checkLocation(uri string) error {
	switch {
	case strings.HasPrefix(uri, "runs:"):
		return invalid("Artifact location cannot be a runs:/ URI. Given: '%s'", uri)
	case len(uri) > maxLocation:
		return tooLong("artifact_location", maxLocation)
	case strings.ContainsFunc(uri, func(r rune) bool { return r < ' ' || r == 0x7f }) || strings.ContainsAny(uri, "?#"):
		return invalid("Invalid artifact location: '%s'. Use a URI without a query, a fragment and control characters", uri)
	}
	return nil
}

func (c call) getExperiment(ctx context.Context, req *getExperiment) (*getExperimentResponse, error) {
	stored, err := c.experiment(ctx, req.ExperimentID)
	if err != nil {
		return nil, err
	}
	return &getExperimentResponse{experimentView(stored.Value)}, nil
}

func (c call) getExperimentByName(ctx context.Context, req *getExperimentByName) (*getExperimentResponse, error) {
	stored, err := c.experiment(ctx, experimentKey(req.ExperimentName))
	if asNotFound(err) {
		return nil, failf(codeNotFound, "Could not find experiment with name '%s'", req.ExperimentName)
	}
	if err != nil {
		return nil, err
	}
	return &getExperimentResponse{experimentView(stored.Value)}, nil
}

// asNotFound tells whether the error is that there is no such thing.
func asNotFound(err error) bool {
	return err != nil && asFailure(err).code == codeNotFound
}

func (c call) deleteExperiment(ctx context.Context, req *deleteExperiment) (nothing, error) {
	return c.setArchived(ctx, req.ExperimentID, true)
}

func (c call) restoreExperiment(ctx context.Context, req *restoreExperiment) (nothing, error) {
	return c.setArchived(ctx, req.ExperimentID, false)
}

// setArchived deletes or restores an experiment. Its runs show the state of
// their experiment; nothing is written to them.
func (c call) setArchived(ctx context.Context, id string, archived bool) (nothing, error) {
	stored, err := c.experiment(ctx, id)
	if err != nil {
		return nothing{}, err
	}
	if err := c.store(ctx, stored); err != nil {
		return nothing{}, err
	}
	detail := map[bool]string{true: "archive", false: "reactivate"}[archived]
	_, err = core.Update(ctx, c.core, history.ExperimentRef(stored.Value.Name), core.Updated(detail), func(e *record.Experiment) error {
		if archived != e.Archived.IsZero() {
			return failf(codeNotFound, "No Experiment with id=%s exists that is %s", id, lifecycle(!archived))
		}
		e.Archived = core.When(archived, c.core.Now())
		return nil
	})
	return nothing{}, err
}

// updateExperiment renames an experiment. It keeps its ID, and the names that
// it had; the new one is taken by a record of its own, before it is shown.
func (c call) updateExperiment(ctx context.Context, req *updateExperiment) (nothing, error) {
	if err := checkExperimentName(req.NewName); err != nil {
		return nothing{}, err
	}
	stored, err := c.experiment(ctx, req.ExperimentID)
	if err != nil {
		return nothing{}, err
	}
	if !stored.Value.Archived.IsZero() {
		return nothing{}, invalid("Cannot rename a non-active experiment.")
	}
	if err := c.takeName(ctx, stored.Value.Name, req.NewName); err != nil {
		return nothing{}, err
	}
	return nothing{}, c.change(ctx, stored.Value.Name, "name "+req.NewName, func(e *record.Experiment) error {
		if e.Title = req.NewName; e.Title == e.Name {
			e.Title = ""
		}
		return nil
	})
}

// takeName makes name one of the experiment key's.
func (c call) takeName(ctx context.Context, key, name string) error {
	alias := record.Experiment{ID: core.NewUUID(), Name: experimentKey(name), Title: name, AliasOf: key}
	if alias.Name == key {
		return nil
	}
	_, err := core.Create(ctx, c.core, history.ExperimentRef(alias.Name), alias)
	if !errors.Is(err, azml.ErrExists) {
		return err
	}
	there, err := history.Experiment(ctx, c.core, alias.Name)
	if err == nil && there.Value.Name != key {
		return failf(codeBadRequest, "Experiment(name=%s) already exists: another experiment has, or had, that name", name)
	}
	return err
}

func (c call) setExperimentTag(ctx context.Context, req *setExperimentTag) (nothing, error) {
	return nothing{}, c.change(ctx, req.ExperimentID, "tag "+req.Key, func(e *record.Experiment) error {
		e.Tags = core.ChangeLabels(e.Tags, map[string]string{req.Key: req.Value}, nil)
		return core.CheckExperimentTags(e.Tags)
	})
}

func (c call) deleteExperimentTag(ctx context.Context, req *deleteExperimentTag) (nothing, error) {
	return nothing{}, c.change(ctx, req.ExperimentID, "tag "+req.Key, func(e *record.Experiment) error {
		if _, ok := e.Tags[req.Key]; !ok {
			return failf(codeNotFound, "No tag with name: %s in experiment with id %s", req.Key, req.ExperimentID)
		}
		e.Tags = core.ChangeLabels(e.Tags, nil, []string{req.Key})
		return nil
	})
}

// noteTag is where MLflow keeps a description.
const noteTag = "mlflow.note.content"

func experimentView(e record.Experiment) experimentMessage {
	view := experimentMessage{ExperimentID: e.Name, Name: experimentTitle(e), ArtifactLocation: artifactLocation(e), LifecycleStage: lifecycle(!e.Archived.IsZero()),
		CreationTime: millis(e.Created), LastUpdateTime: millis(e.Modified), Tags: labelList(e.Tags)}
	if _, noted := e.Tags[noteTag]; !noted && e.Description != "" {
		view.Tags = append(view.Tags, keyValue{noteTag, e.Description})
	}
	return view
}

func experimentTitle(e record.Experiment) string {
	if e.Title != "" {
		return e.Title
	}
	return e.Name
}

// artifactLocation gives the URI below which the artifacts of the experiment's
// runs are.
func artifactLocation(e record.Experiment) string {
	if e.ArtifactLocation != "" {
		return e.ArtifactLocation
	}
	return proxyScheme + e.Name
}

// labelList gives labels sorted by key.
func labelList(labels map[string]string) []keyValue {
	list := make([]keyValue, 0, len(labels))
	for key, value := range labels {
		list = append(list, keyValue{key, value})
	}
	slices.SortFunc(list, func(a, b keyValue) int { return strings.Compare(a.Key, b.Key) })
	return list
}

// millis gives a time in milliseconds since 1970, 0 for none.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
