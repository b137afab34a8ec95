package mlflow

import (
	"context"
	"errors"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/registry"
)

// modelSource is where a version is registered from.
type modelSource struct {
	uri                        string
	runID, modelID, experiment string
	path                       string          // the name of the file or folder
	files                      *files.Manifest // as they are now; nil when they are elsewhere
}

// modelSource looks at what a version is to be registered from. Of what lies in
// the workspace the version gets the files as they are at this moment; of all
// else only the URI is kept. A place on somebody's disk is refused, unless it is
// where a client keeps the files of the run or the logged model itself.
func (c call) modelSource(ctx context.Context, req *createModelVersion) (modelSource, error) {
	s := modelSource{uri: req.Source, runID: req.RunID, modelID: req.ModelID}
	if isPrompt(req.Tags) {
		return s, checkPrompt(req.Source)
	}
	scheme, err := checkSource(req.Source)
	if err != nil {
		return s, err
	}
	switch scheme {
	case "", "file":
		return s, c.localSource(ctx, s)
	case "runs":
		err = c.runSource(ctx, &s)
	case "models":
		err = c.modelsSource(ctx, &s)
	case "mlflow-artifacts":
		err = c.artifactSource(ctx, &s)
	}
	if err != nil {
		return s, err
	}
	return s, c.lineage(ctx, &s)
}

var (
	schemePattern = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9+.-]+):`) // one letter is a drive
	repeatedSlash = regexp.MustCompile(`/+`)
)

// maxDecoding bounds how often a source is unescaped.
const maxDecoding = 10

// checkSource refuses sources that could lead anywhere else than they seem to,
// and gives the scheme in lower case, empty for a path.
func checkSource(source string) (scheme string, err error) {
	bad := invalid("Invalid model version source: '%s'. If supplying a source as an http, https, local file path, ftp, objectstore, or mlflow-artifacts uri, "+
		"an absolute path must be provided without relative path references present. Please provide an absolute path.", cut(source, maxLocation))
	if len(source) > maxLocation {
		return "", tooLong("source", maxLocation)
	}
	plain := source
	for range maxDecoding {
		next, err := url.QueryUnescape(plain)
		if err != nil || next == plain {
			break
		}
		plain = next
	}
	if strings.ContainsFunc(plain, unicode.IsControl) || slices.Contains(strings.FieldsFunc(plain, isSlash), "..") {
		return "", bad
	}
	match := schemePattern.FindStringSubmatch(plain)
	if match == nil {
		return "", nil
	}
	rest := plain[len(match[0]):]
	if after, isAuthority := strings.CutPrefix(rest, "//"); isAuthority {
		rest = ""
		if i := strings.IndexByte(after, '/'); i >= 0 {
			rest = after[i:]
		}
	}
	rest, _, _ = strings.Cut(rest, "?")
	rest, _, _ = strings.Cut(rest, "#")
	rest = repeatedSlash.ReplaceAllString(strings.TrimRight(rest, "/"), "/")
	scheme = strings.ToLower(match[1])
	isProxy := strings.HasPrefix(scheme, "http") && strings.Contains(rest, "/mlflow-artifacts/artifacts")
	if !strings.HasPrefix(rest, "/") || path.Clean(rest) != rest || strings.Contains(rest, `\`) || isProxy {
		return "", bad
	}
	return scheme, nil
}

func isSlash(r rune) bool { return r == '/' || r == '\\' }

// notIn is MLflow's error for a source that is not the run's or the logged
// model's.
func notIn(source, field string) error {
	return invalid("Invalid model version source: '%s'. The %s request parameter must identify the resource that contains the source.", source, field)
}

// localSource allows a path on the client's machine below the place where it
// keeps the files of the run or the logged model.
func (c call) localSource(ctx context.Context, s modelSource) error {
	refused := invalid("Invalid model version source: '%s'. To use a local path as a model version source, the run_id request parameter has to be specified "+
		"and the local path has to be contained within the artifact directory of the run specified by the run_id.", s.uri)
	root := ""
	switch {
	case s.modelID != "":
		m, err := c.loggedModel(ctx, s.modelID)
		if err != nil {
			return notFoundAs(err, refused)
		}
		if root, err = c.loggedModelURI(ctx, m.Value); err != nil {
			return err
		}
	case s.runID != "":
		r, err := c.run(ctx, s.runID)
		if err != nil {
			return notFoundAs(err, refused)
		}
		e, err := c.experiment(ctx, r.Value.Experiment)
		if err != nil {
			return err
		}
		root = artifactURI(r.Value, e.Value)
	}
	root, isFile := strings.CutPrefix(root, "file://")
	place := strings.TrimPrefix(s.uri, "file://")
	if !isFile || !path.IsAbs(place) || path.Clean(place) != strings.TrimRight(place, "/") || !history.Below(strings.TrimRight(place, "/"), root) {
		return refused
	}
	return nil
}

// notFoundAs puts another error in the place of one that says that there is no
// such thing.
func notFoundAs(err, other error) error {
	if asNotFound(err) {
		return other
	}
	return err
}

// runSource takes the files of a run, or those of a model of that name that it
// has logged.
func (c call) runSource(ctx context.Context, s *modelSource) error {
	id, folder, _ := strings.Cut(strings.Trim(strings.TrimPrefix(s.uri, "runs:"), "/"), "/")
	if strings.HasPrefix(s.uri, "runs://") || s.runID != "" && s.runID != id {
		return notIn(s.uri, "run_id")
	}
	folder, err := checkPath(folder)
	if err != nil {
		return err
	}
	r, err := c.run(ctx, id)
	if err != nil {
		return notFoundAs(err, notIn(s.uri, "run_id"))
	}
	s.runID, s.path = id, folder
	found, err := history.Files(ctx, c.core, r.Value, folder)
	if err != nil || len(found.Files) > 0 {
		s.take(found)
		return err
	}
	for _, out := range slices.Backward(r.Value.ModelOutputs) {
		m, err := c.loggedModel(ctx, out.ModelID)
		if asNotFound(err) || err == nil && m.Value.Name != folder {
			continue
		}
		if err != nil {
			return err
		}
		return c.takeLogged(ctx, s, m.Value)
	}
	return nil
}

// take takes the files as they are, unless there are none.
func (s *modelSource) take(found *files.Manifest) {
	if found != nil && len(found.Files) > 0 {
		s.files = registry.Rooted(found, s.path)
	}
}

func (c call) takeLogged(ctx context.Context, s *modelSource, m record.LoggedModel) error {
	s.modelID, s.path = m.ID, ""
	found, err := history.LoggedModelFiles(m.ID).Files(ctx, c.core, "")
	s.take(found)
	s.path = m.Name
	if s.runID == "" {
		s.runID = m.RunID
	}
	return err
}

// loggedModelOf gives the logged model that a URI is.
func loggedModelOf(uri string) (id string, ok bool) {
	id, ok = strings.CutPrefix(uri, "models:/")
	id = strings.TrimRight(id, "/")
	return id, ok && strings.HasPrefix(id, loggedModelID) && !strings.ContainsAny(id, "/@")
}

// modelsSource takes the files of a logged model, or of another version.
func (c call) modelsSource(ctx context.Context, s *modelSource) error {
	if id, isLogged := loggedModelOf(s.uri); isLogged {
		if s.modelID != "" && s.modelID != id {
			return notIn(s.uri, "model_id")
		}
		m, err := c.loggedModel(ctx, id)
		if err != nil {
			return notFoundAs(err, notIn(s.uri, "model_id"))
		}
		return c.takeLogged(ctx, s, m.Value)
	}
	m, v, err := c.versionOf(ctx, strings.TrimPrefix(s.uri, "models:/"))
	if err != nil {
		return err
	}
	if s.runID != "" && s.runID != v.RunID || s.modelID != "" && s.modelID != v.ModelID {
		return invalid("Invalid model version source: '%s'. The run_id and model_id request parameters must match the referenced model version.", s.uri)
	}
	view := modelVersionView(m, v)
	s.uri, s.runID, s.modelID, s.path = "models:/"+view.Name+"/"+view.Version, v.RunID, v.ModelID, v.Path
	if v.Manifest != "" {
		s.files, err = c.core.Files().Manifest(ctx, v.Manifest)
	}
	return err
}

// versionOf finds the version that stands behind models:/, as name/version,
// name/latest, name/stage or name@alias.
func (c call) versionOf(ctx context.Context, text string) (record.RegisteredModel, record.Model, error) {
	var v core.Stored[record.Model]
	name, alias, isAlias := strings.Cut(text, "@")
	name, which, hasVersion := strings.Cut(name, "/")
	if isAlias == hasVersion {
		return record.RegisteredModel{}, v.Value, invalid("Invalid model version source: 'models:/%s'. Use models:/<name>/<version> or models:/<name>@<alias>", text)
	}
	if hasVersion && !strings.ContainsFunc(which, func(r rune) bool { return r < '0' || r > '9' }) {
		return c.modelVersion(ctx, versionRef{modelName{name}, which})
	}
	m, err := c.registeredModel(ctx, name)
	if err != nil {
		return m.Value, v.Value, err
	}
	if isAlias {
		v, err = registry.ByAlias(ctx, c.core, m.Value.Name, alias)
	} else if strings.EqualFold(which, "latest") {
		v, err = registry.Latest(ctx, c.core, m.Value.Name)
	} else {
		return c.versionOfStage(ctx, m.Value, which)
	}
	if errors.Is(err, azml.ErrNotFound) {
		err = invalid("Invalid model version source: 'models:/%s'. There is no such version", text)
	}
	return m.Value, v.Value, err
}

func (c call) versionOfStage(ctx context.Context, m record.RegisteredModel, stage string) (record.RegisteredModel, record.Model, error) {
	stage, err := canonicalStage(stage)
	if err != nil {
		return m, record.Model{}, err
	}
	versions, err := registry.LatestByStage(ctx, c.core, m)
	if err != nil {
		return m, record.Model{}, err
	}
	for _, v := range versions {
		if v.Stage == stage {
			return m, v, nil
		}
	}
	return m, record.Model{}, invalid("No versions of model with name '%s' and stage '%s' found", modelTitle(m), stage)
}

// artifactSource takes files by the place where clients see them.
func (c call) artifactSource(ctx context.Context, s *modelSource) error {
	field := "run_id"
	if s.modelID != "" {
		field = "model_id"
	}
	place, isOurs := strings.CutPrefix(s.uri, proxyScheme)
	if !isOurs || strings.HasPrefix(place, "/") {
		return notIn(s.uri, field)
	}
	plain, err := url.PathUnescape(place)
	if err != nil {
		return notIn(s.uri, field)
	}
	a, err := c.artifact(ctx, plain)
	if err != nil {
		return notFoundAs(err, notIn(s.uri, field))
	}
	if s.runID != "" && a.runID != "" && s.runID != a.runID || s.modelID != "" && s.modelID != a.modelID {
		return notIn(s.uri, field)
	}
	if s.modelID = a.modelID; s.runID == "" {
		s.runID = a.runID
	}
	s.path = a.path
	found, err := a.list.Files(ctx, c.core, a.path)
	s.take(found)
	return err
}

// lineage fills in the experiment, and checks that a run that is named is there.
func (c call) lineage(ctx context.Context, s *modelSource) error {
	if s.modelID != "" && s.runID == "" {
		m, err := c.loggedModel(ctx, s.modelID)
		if err != nil {
			return err
		}
		s.runID = m.Value.RunID
	}
	if s.runID == "" {
		return nil
	}
	r, err := c.run(ctx, s.runID)
	if asNotFound(err) {
		return nil // of another server, or deleted
	}
	s.experiment = r.Value.Experiment
	return err
}

// promptTag marks registered models and versions that are prompts, and promptSources
// are what stands for the files that these don't have.
const promptTag = "mlflow.prompt.is_prompt"

var promptSources = []string{"dummy-source", "prompt-template"}

func isPrompt(tags []keyValue) bool {
	return slices.ContainsFunc(tags, func(t keyValue) bool { return t.Key == promptTag && strings.EqualFold(t.Value, "true") })
}

func checkPrompt(source string) error {
	if !slices.Contains(promptSources, source) {
		return invalid("Invalid prompt source: '%s'. Prompt sources must use an MLflow placeholder.", cut(source, maxLocation))
	}
	return nil
}
