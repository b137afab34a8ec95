package endpoint

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strconv"

	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/pyenv"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/scoring"
	"github.com/azml-go/azml/model"
)

// prepare makes the script's environment and its folders on this machine: the
// source, and in it, as it is AML_APP_ROOT, the models under
// azureml-models/<name>/<version> as in Azure ML, where Model.get_model_path of
// azureml-core looks for them.
func (s *host) prepare(ctx context.Context, d *record.EndpointDeployment, models []*model.Model, one *running) (scoring.PythonConfig, error) {
	var none scoring.PythonConfig
	h := s.c.h
	env, err := core.Get[record.Environment](ctx, h, "environments/"+d.Environment.Name+"/"+d.Environment.Version+".json")
	if err != nil {
		return none, fmt.Errorf("environment %s:%s: %w", d.Environment.Name, d.Environment.Version, err)
	}
	s.progress(ctx, "preparing the environment %s:%s", env.Value.Name, env.Value.Version)
	built, err := pyenv.Build(ctx, pyenv.Spec(env.Value.Python), &pyenv.BuildOptions{CacheDir: agent.EnvironmentsDir(h), Log: s.log})
	if err != nil {
		return none, &startFailure{fmt.Errorf("build environment %s:%s: %w", d.Environment.Name, d.Environment.Version, err)}
	}
	if one.dir, err = newWorkDir(h, s.name); err != nil {
		return none, err
	}
	s.progress(ctx, "fetching source and models of deployment %s", d.Name)
	source, err := s.placeSource(ctx, d, one.dir)
	if err != nil {
		return none, err
	}
	root := cmp.Or(source, one.dir.path)
	modelDir, err := placeModels(ctx, root, models, source != "")
	if err != nil {
		return none, err
	}
	variables := built.Environ(agent.BaseEnviron())
	maps.Copy(variables, env.Value.Variables)
	maps.Copy(variables, d.Variables)
	if one.collects != nil {
		found, err := one.collects.variables(one.dir.path)
		if err != nil {
			return none, err
		}
		maps.Copy(variables, found)
	}
	return scoring.PythonConfig{Python: built.Python, SourceDir: source, EntryScript: d.EntryScript, Server: d.Server, ModelDir: modelDir,
		AppRoot: root, Model: d.ModelFormat, ModelFile: d.ModelFile, ServiceName: s.name, WorkspaceName: h.Workspace().Name, Env: variables, Log: io.MultiWriter(s.log, &one.said), Logger: s.logger(),
		MaxMemory: d.MaxMemory, InitTimeout: milliseconds(d.InitTimeout), Batching: batching(d, 1)}, nil
}

// placeSource writes the script's folder; a model without a script has none.
func (s *host) placeSource(ctx context.Context, d *record.EndpointDeployment, in *workDir) (string, error) {
	if d.Source == "" {
		return "", nil
	}
	source := filepath.Join(in.path, "source")
	manifest, err := s.c.h.Files().Manifest(ctx, d.Source)
	if err != nil {
		return "", err
	}
	return source, s.c.h.Files().Restore(ctx, manifest, source, &files.RestoreOptions{})
}

// placeModels writes the models' files below root and gives what AZUREML_MODEL_DIR
// names: the version's folder of a single model, the parent of all when there are
// several. A model that was registered from a folder has its name there, if named; that
// is for scripts, which know it.
func placeModels(ctx context.Context, root string, models []*model.Model, named bool) (string, error) {
	root = filepath.Join(root, "azureml-models")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return "", err
	}
	for _, m := range models {
		dir := filepath.Join(root, m.Name(), strconv.Itoa(m.Version()))
		if err := os.RemoveAll(dir); err != nil { // the script's folder may have one from elsewhere
			return "", err
		}
		to := dir
		if named {
			folder, err := folderOf(ctx, m)
			if err != nil {
				return "", err
			}
			to = filepath.Join(dir, folder)
		}
		if err := m.Download(ctx, to, nil); err != nil {
			return "", err
		}
		if len(models) == 1 {
			return dir, nil
		}
	}
	return root, nil
}

// folderOf gives the name of the folder that a model was registered from, "" for a file.
func folderOf(ctx context.Context, m *model.Model) (string, error) {
	found, err := m.Files(ctx)
	if err != nil {
		return "", err
	}
	name := path.Base(m.Details().Path)
	if name == "." || name == "/" || len(found) == 1 && found[0].Path == name {
		return "", nil
	}
	return name, nil
}
