package mlflow

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/registry"
)

func registeredModelRoutes() []route {
	return []route{
		{"POST", "/mlflow/registered-models/create", rpc(call.createRegisteredModel)},
		{"GET", "/mlflow/registered-models/get", rpc(call.getRegisteredModel)},
		{"PATCH", "/mlflow/registered-models/update", rpc(call.updateRegisteredModel)},
		{"POST", "/mlflow/registered-models/rename", rpc(call.renameRegisteredModel)},
		{"DELETE", "/mlflow/registered-models/delete", rpc(call.deleteRegisteredModel)},
		{"GET", "/mlflow/registered-models/search", rpc(call.searchRegisteredModels)},
		{"POST", "/mlflow/registered-models/search", rpc(call.searchRegisteredModels)}, // of R alone
		{"GET", "/mlflow/registered-models/get-latest-versions", rpc(call.getLatestVersions)},
		{"POST", "/mlflow/registered-models/get-latest-versions", rpc(call.getLatestVersions)},
		{"POST", "/mlflow/registered-models/set-tag", rpc(call.setRegisteredModelTag)},
		{"DELETE", "/mlflow/registered-models/delete-tag", rpc(call.deleteRegisteredModelTag)},
		{"POST", "/mlflow/registered-models/alias", rpc(call.setModelAlias)},
		{"GET", "/mlflow/registered-models/alias", rpc(call.getModelAlias)},
		{"DELETE", "/mlflow/registered-models/alias", rpc(call.deleteModelAlias)},
	}
}

// maxModelName bounds the name of a registered model, in characters.
const maxModelName = 256

func checkModelName(what, name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return missing(what)
	case strings.ContainsAny(name, "/:"):
		return invalid("Invalid model name '%s'. Names cannot contain '/' or ':'.", name)
	case !utf8.ValidString(name) || name == "." || name == "..":
		return invalid("Invalid value \"%s\" for parameter '%s' supplied: Names may be treated as files in certain cases, and must not resolve to other names when treated as such.", name, what)
	case utf8.RuneCountInString(name) > maxModelName:
		return tooLong(what, maxModelName)
	}
	return nil
}

// registeredModel finds a registered model by the name that it has now.
func (c call) registeredModel(ctx context.Context, name string) (core.Stored[record.RegisteredModel], error) {
	if err := checkModelName("name", name); err != nil {
		return core.Stored[record.RegisteredModel]{}, err
	}
	stored, err := registry.Find(ctx, c.core, modelKey(name))
	if errors.Is(err, azml.ErrNotFound) || err == nil && modelTitle(stored.Value) != name {
		return stored, failf(codeNotFound, "Registered Model with name=%s not found", name)
	}
	return stored, err
}

func modelTitle(m record.RegisteredModel) string {
	if m.Title != "" {
		return m.Title
	}
	return m.Name
}

func (c call) createRegisteredModel(ctx context.Context, req *createRegisteredModel) (*registeredModelResponse, error) {
	if err := checkModelName("name", req.Name); err != nil {
		return nil, err
	}
	draft := record.RegisteredModel{Name: modelKey(req.Name), Description: req.Description, Tags: labelMap(req.Tags)}
	if draft.Name != req.Name {
		draft.Title = req.Name
	}
	if err := checkModelLabels(req.Description, draft.Tags); err != nil {
		return nil, err
	}
	stored, err := registry.Create(ctx, c.core, draft)
	if errors.Is(err, azml.ErrExists) {
		return nil, failf(codeExists, "Registered Model (name=%s) already exists. Error: a model has, or had, that name", req.Name)
	}
	return c.registeredModelView(ctx, stored.Value, err)
}

// labelMap gives labels as a map; of a key that is there twice the last counts.
func labelMap(list []keyValue) map[string]string {
	labels := make(map[string]string, len(list))
	for _, label := range list {
		labels[label.Key] = label.Value
	}
	return labels
}

func checkModelLabels(description string, tags map[string]string) error {
	if err := core.CheckText("description", description); err != nil {
		return err
	}
	return core.CheckModelTags(tags)
}

func (c call) getRegisteredModel(ctx context.Context, req *getRegisteredModel) (*registeredModelResponse, error) {
	stored, err := c.registeredModel(ctx, req.Name)
	return c.registeredModelView(ctx, stored.Value, err)
}

// changeRegisteredModel changes the record of the model of that name.
func (c call) changeRegisteredModel(ctx context.Context, name, detail string, change func(*record.RegisteredModel) error) (record.RegisteredModel, error) {
	stored, err := c.registeredModel(ctx, name)
	if err != nil {
		return stored.Value, err
	}
	stored, err = registry.Update(ctx, c.core, stored.Value.Name, core.Updated(detail), func(m *record.RegisteredModel) error {
		if err := change(m); err != nil {
			return err
		}
		return checkModelLabels(m.Description, m.Tags)
	})
	return stored.Value, err
}

func (c call) updateRegisteredModel(ctx context.Context, req *updateRegisteredModel) (*registeredModelResponse, error) {
	m, err := c.changeRegisteredModel(ctx, req.Name, "description", func(m *record.RegisteredModel) error {
		m.Description = req.Description
		return nil
	})
	return c.registeredModelView(ctx, m, err)
}

// renameRegisteredModel gives the model another name. It keeps its name in the
// workspace, and so its versions; the names that it had stay taken.
func (c call) renameRegisteredModel(ctx context.Context, req *renameRegisteredModel) (*registeredModelResponse, error) {
	if err := checkModelName("new_name", req.NewName); err != nil {
		return nil, err
	}
	stored, err := c.registeredModel(ctx, req.Name)
	if err != nil {
		return nil, err
	}
	stored, err = registry.Rename(ctx, c.core, stored.Value.Name, modelKey(req.NewName), req.NewName)
	if errors.Is(err, azml.ErrExists) {
		return nil, failf(codeExists, "Registered Model (name=%s) already exists. Error: a model has, or had, that name", req.NewName)
	}
	return c.registeredModelView(ctx, stored.Value, err)
}

func (c call) deleteRegisteredModel(ctx context.Context, req *deleteRegisteredModel) (nothing, error) {
	stored, err := c.registeredModel(ctx, req.Name)
	if err != nil {
		return nothing{}, err
	}
	return nothing{}, registry.Delete(ctx, c.core, stored.Value.Name)
}

func (c call) setRegisteredModelTag(ctx context.Context, req *setRegisteredModelTag) (nothing, error) {
	_, err := c.changeRegisteredModel(ctx, req.Name, "tag "+req.Key, func(m *record.RegisteredModel) error {
		m.Tags = core.ChangeLabels(m.Tags, map[string]string{req.Key: req.Value}, nil)
		return nil
	})
	return nothing{}, err
}

// deleteRegisteredModelTag passes a tag over that is not there, as MLflow does.
func (c call) deleteRegisteredModelTag(ctx context.Context, req *deleteRegisteredModelTag) (nothing, error) {
	_, err := c.changeRegisteredModel(ctx, req.Name, "tag "+req.Key, func(m *record.RegisteredModel) error {
		m.Tags = core.ChangeLabels(m.Tags, nil, []string{req.Key})
		return nil
	})
	return nothing{}, err
}

func (c call) setModelAlias(ctx context.Context, req *setModelAlias) (nothing, error) {
	if err := checkAlias(req.Alias); err != nil {
		return nothing{}, err
	}
	if err := registry.CheckAlias(req.Alias); err != nil {
		return nothing{}, invalid("'%s' alias name is reserved.", req.Alias)
	}
	m, version, err := c.modelVersion(ctx, versionRef{req.modelName, req.Version})
	if err != nil {
		return nothing{}, err
	}
	return nothing{}, registry.SetAlias(ctx, c.core, m.Name, req.Alias, version.Version)
}

func checkAlias(alias string) error {
	if core.ModelAlias.Check(alias) != nil {
		return invalid("Invalid alias name: '%s'. Names may only contain alphanumerics, underscores (_), dashes (-) and have at most 255 characters.", alias)
	}
	return nil
}

func (c call) getModelAlias(ctx context.Context, req *aliasRef) (*modelVersionResponse, error) {
	if err := checkAlias(req.Alias); err != nil {
		return nil, err
	}
	stored, err := c.registeredModel(ctx, req.Name)
	if err != nil {
		return nil, err
	}
	m := stored.Value
	var version core.Stored[record.Model]
	if strings.EqualFold(req.Alias, "latest") {
		version, err = registry.Latest(ctx, c.core, m.Name)
	} else {
		n, there := m.Aliases[req.Alias]
		if !there {
			return nil, invalid("Registered model alias %s not found.", req.Alias)
		}
		version, err = registry.Version(ctx, c.core, m.Name, n)
	}
	if errors.Is(err, azml.ErrNotFound) {
		return nil, failf(codeNotFound, "Version of alias %s not found for model %s.", req.Alias, req.Name)
	}
	if err != nil {
		return nil, err
	}
	return &modelVersionResponse{modelVersionView(m, version.Value)}, nil
}

func (c call) deleteModelAlias(ctx context.Context, req *aliasRef) (nothing, error) {
	if err := checkAlias(req.Alias); err != nil {
		return nothing{}, err
	}
	stored, err := c.registeredModel(ctx, req.Name)
	if err != nil {
		return nothing{}, err
	}
	return nothing{}, registry.DeleteAlias(ctx, c.core, stored.Value.Name, req.Alias)
}

func (c call) getLatestVersions(ctx context.Context, req *getLatestVersions) (*getLatestVersionsResponse, error) {
	var wanted []string
	for _, stage := range req.Stages {
		canonical, err := canonicalStage(stage)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, canonical)
	}
	stored, err := c.registeredModel(ctx, req.Name)
	if err != nil {
		return nil, err
	}
	versions, err := registry.LatestByStage(ctx, c.core, stored.Value)
	if err != nil {
		return nil, err
	}
	resp := &getLatestVersionsResponse{}
	for _, v := range versions {
		if len(wanted) == 0 || slices.Contains(wanted, v.Stage) {
			resp.ModelVersions = append(resp.ModelVersions, modelVersionView(stored.Value, v))
		}
	}
	return resp, nil
}

// registeredModelView gives the model as clients see it, with the latest version
// of each stage; or the error that there was before.
func (c call) registeredModelView(ctx context.Context, m record.RegisteredModel, err error) (*registeredModelResponse, error) {
	if err != nil {
		return nil, err
	}
	view := registeredModel{Name: modelTitle(m), CreationTimestamp: millis(m.Created), LastUpdatedTimestamp: millis(m.Modified), UserID: m.CreatedBy,
		Description: m.Description, Tags: labelList(m.Tags)}
	versions, err := registry.LatestByStage(ctx, c.core, m)
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		view.LatestVersions = append(view.LatestVersions, modelVersionView(m, v))
	}
	for _, alias := range slices.Sorted(maps.Keys(m.Aliases)) {
		view.Aliases = append(view.Aliases, modelAlias{alias, strconv.Itoa(m.Aliases[alias])})
	}
	return &registeredModelResponse{view}, nil
}
