package mlflow

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

func loggedModelRoutes() []route {
	return []route{
		{"POST", "/mlflow/logged-models", rpc(call.createLoggedModel)},
		{"POST", "/mlflow/logged-models/search", rpc(call.searchLoggedModels)},
		{"GET", "/mlflow/logged-models/{}", rpc(call.getLoggedModel)},
		{"PATCH", "/mlflow/logged-models/{}", rpc(call.finalizeLoggedModel)},
		{"DELETE", "/mlflow/logged-models/{}", rpc(call.deleteLoggedModel)},
		{"POST", "/mlflow/logged-models/{}/params", rpc(call.logLoggedModelParams)},
		{"PATCH", "/mlflow/logged-models/{}/tags", rpc(call.setLoggedModelTags)},
		{"DELETE", "/mlflow/logged-models/{}/tags/{...}", rpc(call.deleteLoggedModelTag)},
		{"GET", "/mlflow/logged-models/{}/artifacts/directories", rpc(call.listLoggedModelArtifacts)},
		{"GET", "/mlflow/logged-models/{}/artifacts/files", call.getLoggedModelArtifact},
	}
}

// loggedModelID is how IDs of logged models begin.
const loggedModelID = "m-"

// loggedModel finds a logged model. All that is done with one comes by here.
func (c call) loggedModel(ctx context.Context, id string) (core.Stored[record.LoggedModel], error) {
	stored, err := history.LoggedModel(ctx, c.core, id)
	if errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrInvalid) {
		err = noLoggedModel(id)
	}
	if err == nil {
		err = c.scope.checkModel(id)
	}
	return stored, err
}

func noLoggedModel(id string) error {
	return failf(codeNotFound, "Logged model with ID '%s' not found.", cut(id, maxKey))
}

// changeLoggedModel changes the record of a logged model.
func (c call) changeLoggedModel(ctx context.Context, id, detail string, change func(*record.LoggedModel) error) (record.LoggedModel, error) {
	if _, err := c.loggedModel(ctx, id); err != nil {
		return record.LoggedModel{}, err
	}
	stored, err := history.UpdateLoggedModel(ctx, c.core, id, core.Updated(detail), change)
	if errors.Is(err, azml.ErrNotFound) { // deleted meanwhile
		err = noLoggedModel(id)
	}
	return stored.Value, err
}

func (c call) createLoggedModel(ctx context.Context, req *createLoggedModel) (*loggedModelResponse, error) {
	experiment, err := c.activeExperiment(ctx, req.ExperimentID)
	if err != nil {
		return nil, err
	}
	draft := record.LoggedModel{ID: loggedModelID + core.NewID(16), Experiment: experiment.Value.Name, Type: req.ModelType, RunID: req.SourceRunID,
		Status: record.LoggedModelPending, Tags: labelMap(req.Tags)}
	if draft.Name, err = loggedModelName(req.Name); err != nil {
		return nil, err
	}
	if utf8.RuneCountInString(req.ModelType) > maxDatasetName {
		return nil, tooLong("model_type", maxDatasetName)
	}
	if req.SourceRunID != "" {
		if _, err := c.run(ctx, req.SourceRunID); err != nil {
			return nil, err
		}
	}
	if err := addModelParams(&draft, req.Params); err != nil {
		return nil, err
	}
	if err := core.CheckModelTags(draft.Tags); err != nil {
		return nil, err
	}
	if err := c.store(ctx, experiment); err != nil {
		return nil, err
	}
	stored, err := history.CreateLoggedModel(ctx, c.core, draft)
	if err != nil {
		return nil, err
	}
	c.scope.noteModel(stored.Value.ID)
	c.loggers.made(c.core, history.LoggedModelRef(stored.Value.ID))
	return &loggedModelResponse{loggedModelView(stored.Value, experiment.Value, nil)}, nil
}

// loggedModelName gives the name that was asked for, or a random one.
func loggedModelName(asked string) (string, error) {
	switch {
	case asked == "":
		return randomName(), nil
	case strings.ContainsAny(asked, `/:.%"'`) || !utf8.ValidString(asked):
		return "", invalid(`Invalid model name ('%s') provided. Model name must be a non-empty string and cannot contain the following characters: ('/', ':', '.', '%%', '"', "'")`, asked)
	case utf8.RuneCountInString(asked) > maxDatasetName:
		return "", tooLong("name", maxDatasetName)
	}
	return asked, nil
}

// maxModelParams bounds the parameters of a logged model.
const maxModelParams = 10_000

// addModelParams adds parameters, each of which is set once.
func addModelParams(m *record.LoggedModel, params []keyValue) error {
	add := make(map[string]string, len(params))
	for _, p := range params {
		if err := checkKey("key", p.Key); err != nil {
			return err
		}
		value := cut(strings.ToValidUTF8(p.Value, "\uFFFD"), maxParam)
		if have, there := m.Params[p.Key]; there && have != value {
			return invalid("Changing param values is not allowed. Param with key='%s' was already logged with value='%s' for model ID='%s'. "+
				"Attempted logging new value '%s'.", p.Key, have, m.ID, value)
		}
		add[p.Key] = value
	}
	m.Params = core.ChangeLabels(m.Params, add, nil)
	if len(m.Params) > maxModelParams {
		return invalid("A logged model can have at most %d params", maxModelParams)
	}
	return nil
}

func (c call) getLoggedModel(ctx context.Context, req *getLoggedModel) (*loggedModelResponse, error) {
	stored, err := c.loggedModel(ctx, req.ModelID)
	return c.loggedModelAnswer(ctx, stored.Value, err)
}

// loggedModelAnswer gives the logged model as clients see it, or the error that
// there was before.
func (c call) loggedModelAnswer(ctx context.Context, m record.LoggedModel, err error) (*loggedModelResponse, error) {
	if err != nil {
		return nil, err
	}
	experiment, err := c.experiment(ctx, m.Experiment)
	if err != nil {
		return nil, err
	}
	points, err := c.modelMetrics(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	return &loggedModelResponse{loggedModelView(m, experiment.Value, points)}, nil
}

func (c call) finalizeLoggedModel(ctx context.Context, req *finalizeLoggedModel) (*loggedModelResponse, error) {
	status, known := loggedStatuses[req.Status]
	if !known {
		return nil, invalid("Invalid value \"%s\" for parameter 'status' supplied: use one of LOGGED_MODEL_PENDING, LOGGED_MODEL_READY, LOGGED_MODEL_UPLOAD_FAILED", req.Status)
	}
	if _, err := c.loggedModel(ctx, req.ModelID); err != nil {
		return nil, err
	}
	stored, err := history.SetLoggedModelStatus(ctx, c.core, req.ModelID, status)
	return c.loggedModelAnswer(ctx, stored.Value, err)
}

// loggedStatuses are the statuses by MLflow's names.
var loggedStatuses = map[loggedModelStatus]string{
	loggedPending: record.LoggedModelPending, loggedReady: record.LoggedModelReady, loggedUploadFailed: record.LoggedModelUploadFailed,
}

func (c call) deleteLoggedModel(ctx context.Context, req *deleteLoggedModel) (nothing, error) {
	defer c.writers.forget(logID{req.ModelID, true})
	_, err := c.loggedModel(ctx, req.ModelID)
	if err == nil {
		err = history.DeleteLoggedModel(ctx, c.core, req.ModelID)
	}
	return nothing{}, err
}

func (c call) logLoggedModelParams(ctx context.Context, req *logLoggedModelParams) (nothing, error) {
	_, err := c.changeLoggedModel(ctx, req.ModelID, "params", func(m *record.LoggedModel) error { return addModelParams(m, req.Params) })
	return nothing{}, err
}

func (c call) setLoggedModelTags(ctx context.Context, req *setLoggedModelTags) (*loggedModelResponse, error) {
	set := labelMap(req.Tags)
	if list := registrations(set); len(list) > 0 {
		set[registrationsTag] = registrationsText(list)
	}
	m, err := c.changeLoggedModel(ctx, req.ModelID, "tags", func(m *record.LoggedModel) error {
		m.Tags = core.ChangeLabels(m.Tags, set, nil)
		return core.CheckModelTags(m.Tags)
	})
	return c.loggedModelAnswer(ctx, m, err)
}

func (c call) deleteLoggedModelTag(ctx context.Context, req *deleteLoggedModelTag) (nothing, error) {
	_, err := c.changeLoggedModel(ctx, req.ModelID, "tags", func(m *record.LoggedModel) error {
		if _, there := m.Tags[req.TagKey]; !there {
			return failf(codeNotFound, "No tag with key '%s' found for model with ID '%s'.", req.TagKey, req.ModelID)
		}
		m.Tags = core.ChangeLabels(m.Tags, nil, []string{req.TagKey})
		return nil
	})
	return nothing{}, err
}

// listLoggedModelArtifacts lists a folder of a logged model, with paths from its
// root.
func (c call) listLoggedModelArtifacts(ctx context.Context, req *listLoggedModelArtifacts) (*listArtifactsResponse, error) {
	folder, err := checkPath(req.ArtifactDirectoryPath)
	if err != nil {
		return nil, err
	}
	stored, err := c.loggedModel(ctx, req.ModelID)
	if err != nil {
		return nil, err
	}
	resp := &listArtifactsResponse{}
	if resp.RootURI, err = c.loggedModelURI(ctx, stored.Value); err != nil {
		return nil, err
	}
	resp.Files, err = c.folder(ctx, artifact{list: history.LoggedModelFiles(req.ModelID), path: folder}, folder)
	return resp, err
}

// getLoggedModelArtifact is what MLflow's pages download files with.
func (c call) getLoggedModelArtifact(w http.ResponseWriter, r *http.Request, params []string) error {
	p, err := checkPath(r.URL.Query().Get("artifact_file_path"))
	if err != nil {
		return err
	}
	if _, err := c.loggedModel(r.Context(), params[0]); err != nil {
		return err
	}
	return c.send(w, r, artifact{list: history.LoggedModelFiles(params[0]), path: p})
}

// loggedModelURI gives the URI of the logged model's files.
func (c call) loggedModelURI(ctx context.Context, m record.LoggedModel) (string, error) {
	e, err := c.experiment(ctx, m.Experiment)
	return loggedModelArtifactURI(m, e.Value), err
}

func loggedModelArtifactURI(m record.LoggedModel, e record.Experiment) string {
	return artifactLocation(e) + "/models/" + m.ID + "/artifacts"
}

func loggedModelView(m record.LoggedModel, e record.Experiment, points []metric) loggedModel {
	view := loggedModel{
		Info: loggedModelInfo{ModelID: m.ID, ExperimentID: m.Experiment, Name: m.Name, CreationTimestampMS: millis(m.Created), LastUpdatedTimestampMS: millis(m.Modified),
			ArtifactURI: loggedModelArtifactURI(m, e), Status: loggedUnspecified, ModelType: m.Type, SourceRunID: m.RunID, Tags: labelList(m.Tags), Registrations: registrations(m.Tags)},
		Data: loggedModelData{Params: labelList(m.Params), Metrics: points},
	}
	for name, status := range loggedStatuses {
		if status == m.Status {
			view.Info.Status = name
		}
	}
	return view
}
