package mlflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/registry"
)

func modelVersionRoutes() []route {
	return []route{
		{"POST", "/mlflow/model-versions/create", rpc(call.createModelVersion)},
		{"GET", "/mlflow/model-versions/get", rpc(call.getModelVersion)},
		{"GET", "/mlflow/model-versions/get-download-uri", rpc(call.getDownloadURI)},
		{"PATCH", "/mlflow/model-versions/update", rpc(call.updateModelVersion)},
		{"POST", "/mlflow/model-versions/transition-stage", rpc(call.transitionStage)},
		{"DELETE", "/mlflow/model-versions/delete", rpc(call.deleteModelVersion)},
		{"GET", "/mlflow/model-versions/search", rpc(call.searchModelVersions)},
		{"POST", "/mlflow/model-versions/set-tag", rpc(call.setModelVersionTag)},
		{"DELETE", "/mlflow/model-versions/delete-tag", rpc(call.deleteModelVersionTag)},
	}
}

// modelVersion finds a version, and the model that it belongs to.
func (c call) modelVersion(ctx context.Context, ref versionRef) (record.RegisteredModel, record.Model, error) {
	n, err := strconv.Atoi(ref.Version)
	if err != nil {
		return record.RegisteredModel{}, record.Model{}, invalid("Parameter 'version' must be an integer, got '%s'.", ref.Version)
	}
	m, err := c.registeredModel(ctx, ref.Name)
	if err != nil {
		return m.Value, record.Model{}, err
	}
	v, err := registry.Version(ctx, c.core, m.Value.Name, n)
	if errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrInvalid) {
		err = failf(codeNotFound, "Model Version (name=%s, version=%s) not found", ref.Name, ref.Version)
	}
	return m.Value, v.Value, err
}

func (c call) createModelVersion(ctx context.Context, req *createModelVersion) (*modelVersionResponse, error) {
	m, err := c.registeredModel(ctx, req.Name)
	if err != nil {
		return nil, err
	}
	draft := record.Model{Framework: "Custom", Description: req.Description, Tags: labelMap(req.Tags), RunLink: req.RunLink}
	if err := checkModelLabels(req.Description, draft.Tags); err != nil {
		return nil, err
	}
	if len(req.RunLink) > maxLocation {
		return nil, tooLong("run_link", maxLocation)
	}
	source, err := c.modelSource(ctx, req)
	if err != nil {
		return nil, err
	}
	draft.Source, draft.Path, draft.RunID, draft.ModelID, draft.Experiment = source.uri, source.path, source.runID, source.modelID, source.experiment
	v, err := registry.Register(ctx, c.core, m.Value.Name, draft, source.files)
	if err != nil {
		return nil, err
	}
	if err := c.noteRegistration(ctx, v.Value, req.Name); err != nil {
		return nil, err
	}
	return &modelVersionResponse{modelVersionView(m.Value, v.Value)}, nil
}

// registrationsTag is a JSON list of the versions that were registered from a
// logged model. Clients write it, too.
const registrationsTag = "mlflow.modelVersions"

// noteRegistration notes at the logged model that a version was made from it.
func (c call) noteRegistration(ctx context.Context, v record.Model, name string) error {
	if v.ModelID == "" {
		return nil
	}
	_, err := history.UpdateLoggedModel(ctx, c.core, v.ModelID, core.Quiet, func(m *record.LoggedModel) error {
		list := append(registrations(m.Tags), modelRegistration{name, strconv.Itoa(v.Version)})
		m.Tags = core.ChangeLabels(m.Tags, map[string]string{registrationsTag: registrationsText(list)}, nil)
		if core.CheckModelTags(m.Tags) != nil {
			return core.ErrNoChange // there are too many to be listed
		}
		return nil
	})
	if errors.Is(err, azml.ErrNotFound) {
		return nil // it was deleted meanwhile
	}
	return err
}

func registrationsText(list []modelRegistration) string {
	data, _ := json.Marshal(list) // strings always encode
	return string(data)
}

// registrations gives the versions that the tags of a logged model say were made
// from it, each once: the client adds to the tag what we have added already.
func registrations(tags map[string]string) []modelRegistration {
	var raw []struct {
		Name    string `json:"name"`
		Version any    `json:"version"` // a number from some clients
	}
	if json.Unmarshal([]byte(tags[registrationsTag]), &raw) != nil {
		return nil
	}
	var list []modelRegistration
	for _, r := range raw {
		if one := (modelRegistration{r.Name, fmt.Sprint(r.Version)}); !slices.Contains(list, one) {
			list = append(list, one)
		}
	}
	return list
}

func (c call) getModelVersion(ctx context.Context, req *versionRef) (*modelVersionResponse, error) {
	m, v, err := c.modelVersion(ctx, *req)
	if err != nil {
		return nil, err
	}
	return &modelVersionResponse{modelVersionView(m, v)}, nil
}

// changeModelVersion changes the record of a version.
func (c call) changeModelVersion(ctx context.Context, ref versionRef, detail string, change func(*record.Model)) (*modelVersionResponse, error) {
	m, v, err := c.modelVersion(ctx, ref)
	if err != nil {
		return nil, err
	}
	stored, err := registry.UpdateVersion(ctx, c.core, m.Name, v.Version, core.Updated(detail), func(r *record.Model) error {
		change(r)
		return checkModelLabels(r.Description, r.Tags)
	})
	if err != nil {
		return nil, err
	}
	return &modelVersionResponse{modelVersionView(m, stored.Value)}, nil
}

func (c call) updateModelVersion(ctx context.Context, req *updateModelVersion) (*modelVersionResponse, error) {
	return c.changeModelVersion(ctx, req.versionRef, "description", func(v *record.Model) { v.Description = req.Description })
}

func (c call) setModelVersionTag(ctx context.Context, req *setModelVersionTag) (nothing, error) {
	_, err := c.changeModelVersion(ctx, req.versionRef, "tag "+req.Key, func(v *record.Model) {
		v.Tags = core.ChangeLabels(v.Tags, map[string]string{req.Key: req.Value}, nil)
	})
	return nothing{}, err
}

// deleteModelVersionTag passes a tag over that is not there, as MLflow does.
func (c call) deleteModelVersionTag(ctx context.Context, req *deleteModelVersionTag) (nothing, error) {
	_, err := c.changeModelVersion(ctx, req.versionRef, "tag "+req.Key, func(v *record.Model) {
		v.Tags = core.ChangeLabels(v.Tags, nil, []string{req.Key})
	})
	return nothing{}, err
}

func (c call) deleteModelVersion(ctx context.Context, req *versionRef) (nothing, error) {
	m, v, err := c.modelVersion(ctx, *req)
	if err != nil {
		return nothing{}, err
	}
	return nothing{}, registry.DeleteVersion(ctx, c.core, m.Name, v.Version)
}

// noStage is MLflow's word for a version that is in no stage.
const noStage = "None"

// canonicalStage gives the stage that a client means in any case, empty for none.
func canonicalStage(stage string) (string, error) {
	if strings.EqualFold(stage, noStage) {
		return "", nil
	}
	for _, s := range record.Stages() {
		if strings.EqualFold(stage, s) {
			return s, nil
		}
	}
	return "", invalid("Invalid Model Version stage: %s. Value must be one of %s, %s.", stage, noStage, strings.Join(record.Stages(), ", "))
}

func (c call) transitionStage(ctx context.Context, req *transitionStage) (*modelVersionResponse, error) {
	stage, err := canonicalStage(req.Stage)
	if err != nil {
		return nil, err
	}
	if req.ArchiveExistingVersions && stage != record.StageStaging && stage != record.StageProduction {
		return nil, invalid("Model version transition cannot archive existing model versions because '%s' is not an Active stage. Valid stages are ['%s', '%s']",
			req.Stage, record.StageStaging, record.StageProduction)
	}
	m, v, err := c.modelVersion(ctx, req.versionRef)
	if err != nil {
		return nil, err
	}
	stored, err := registry.SetStage(ctx, c.core, m.Name, v.Version, stage)
	if err == nil && req.ArchiveExistingVersions {
		err = registry.ArchiveOthers(ctx, c.core, m.Name, v.Version, stage)
	}
	if err != nil {
		return nil, err
	}
	return &modelVersionResponse{modelVersionView(m, stored.Value)}, nil
}

func (c call) getDownloadURI(ctx context.Context, req *versionRef) (*downloadURIResponse, error) {
	_, v, err := c.modelVersion(ctx, *req)
	if err != nil {
		return nil, err
	}
	uri := v.Source
	switch id, isLogged := loggedModelOf(uri); {
	case v.Manifest != "":
		uri = versionURI(v)
	case isLogged:
		m, err := c.loggedModel(ctx, id)
		if err != nil {
			return nil, err
		}
		if uri, err = c.loggedModelURI(ctx, m.Value); err != nil {
			return nil, err
		}
	}
	return &downloadURIResponse{uri}, nil
}

// versionsRoot is the folder of the files of registered models among artifacts.
// No experiment can have that name.
const versionsRoot = "_models"

// versionURI gives the URI of the files of a version that has files here.
func versionURI(v record.Model) string {
	return proxyScheme + versionsRoot + "/" + v.Name + "/" + strconv.Itoa(v.Version)
}

// getVersionArtifact is what MLflow's pages download files of versions with.
func (c call) getVersionArtifact(w http.ResponseWriter, r *http.Request, _ []string) error {
	query := r.URL.Query()
	p, err := checkPath(query.Get("path"))
	if err != nil {
		return err
	}
	_, v, err := c.modelVersion(r.Context(), versionRef{modelName{query.Get("name")}, query.Get("version")})
	if err != nil {
		return err
	}
	if v.Manifest == "" {
		return failf(codeNotFound, "No such artifact: '%s'", p)
	}
	return c.send(w, r, artifact{list: history.FixedFiles(v.Manifest), path: p})
}

func modelVersionView(m record.RegisteredModel, v record.Model) modelVersion {
	view := modelVersion{Name: modelTitle(m), Version: strconv.Itoa(v.Version), CreationTimestamp: millis(v.Created), LastUpdatedTimestamp: millis(v.Modified),
		UserID: v.CreatedBy, CurrentStage: v.Stage, Description: v.Description, Source: v.Source, RunID: v.RunID, Status: versionReady,
		Tags: labelList(v.Tags), RunLink: v.RunLink, ModelID: v.ModelID}
	if view.CurrentStage == "" {
		view.CurrentStage = noStage
	}
	switch {
	case view.Source != "":
	case v.RunID != "":
		view.Source = "runs:/" + v.RunID + "/" + v.Path
	default:
		view.Source = versionURI(v)
	}
	for _, alias := range slices.Sorted(maps.Keys(m.Aliases)) {
		if m.Aliases[alias] == v.Version {
			view.Aliases = append(view.Aliases, alias)
		}
	}
	return view
}
