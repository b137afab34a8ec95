package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/pyenv"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/scoring"
	"github.com/azml-go/azml/model"
)

// scorers makes what answers the requests.
func (s *host) scorers(ctx context.Context, r record.Endpoint, models []*model.Model, opts *ServeOptions) ([]scoring.Scorer, error) {
	switch {
	case opts.Handler != nil:
		return []scoring.Scorer{scoring.Handler(scoring.HandlerFunc(opts.Handler))}, nil
	case opts.HTTP != nil:
		return []scoring.Scorer{scoring.HTTP(opts.HTTP)}, nil
	}
	config, err := s.prepare(ctx, r, models)
	if err != nil {
		return nil, err
	}
	return s.startReplicas(ctx, config, r.Replicas)
}

// prepare makes the script's environment and its folders on this machine: the
// source, and the models under azureml-models/<name>/<version> as in Azure ML.
func (s *host) prepare(ctx context.Context, r record.Endpoint, models []*model.Model) (scoring.PythonConfig, error) {
	var none scoring.PythonConfig
	h := s.c.h
	env, err := core.Get[record.Environment](ctx, h, "environments/"+r.Environment.Name+"/"+r.Environment.Version+".json")
	if err != nil {
		return none, fmt.Errorf("environment %s:%s: %w", r.Environment.Name, r.Environment.Version, err)
	}
	built, err := pyenv.Build(ctx, pyenv.Spec(env.Value.Python), &pyenv.BuildOptions{CacheDir: agent.EnvironmentsDir(h), Log: s.log})
	if err != nil {
		return none, fmt.Errorf("build environment %s:%s: %w", r.Environment.Name, r.Environment.Version, err)
	}
	if s.dir, err = newWorkDir(h, s.name); err != nil {
		return none, err
	}
	manifest, err := h.Files().Manifest(ctx, r.Source)
	if err != nil {
		return none, err
	}
	if err := h.Files().Restore(ctx, manifest, s.sourceDir(), &files.RestoreOptions{}); err != nil {
		return none, err
	}
	modelDir, err := s.placeModels(ctx, models)
	if err != nil {
		return none, err
	}
	variables := built.Environ(agent.BaseEnviron())
	maps.Copy(variables, env.Value.Variables)
	maps.Copy(variables, r.Variables)
	return scoring.PythonConfig{Python: built.Python, SourceDir: s.sourceDir(), EntryScript: r.EntryScript, ModelDir: modelDir,
		AppRoot: s.sourceDir(), ServiceName: s.name, WorkspaceName: h.Workspace().Name, Env: variables, Log: s.log, Logger: s.logger()}, nil
}

func (s *host) sourceDir() string { return filepath.Join(s.dir.path, "source") }

func (s *host) sourceFS() fs.FS { return os.DirFS(s.sourceDir()) }

// placeModels writes the models' files and gives what AZUREML_MODEL_DIR names:
// the version's folder of a single model, the parent of all when there are
// several.
func (s *host) placeModels(ctx context.Context, models []*model.Model) (string, error) {
	root := filepath.Join(s.dir.path, "azureml-models")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return "", err
	}
	for _, m := range models {
		dir := filepath.Join(root, m.Name(), strconv.Itoa(m.Version()))
		if err := m.Download(ctx, dir, nil); err != nil {
			return "", err
		}
		if len(models) == 1 {
			return dir, nil
		}
	}
	return root, nil
}

// startReplicas starts all processes of the script at once.
func (s *host) startReplicas(ctx context.Context, config scoring.PythonConfig, n int) ([]scoring.Scorer, error) {
	s.replicas = make([]*scoring.Python, n)
	failures := make([]error, n)
	var starting sync.WaitGroup
	for i := range n {
		starting.Go(func() { s.replicas[i], failures[i] = scoring.StartPython(ctx, config) })
	}
	starting.Wait()
	var scorers []scoring.Scorer
	for i, err := range failures {
		if err != nil {
			return nil, fmt.Errorf("%w: %w", azml.ErrFailed, err)
		}
		scorers = append(scorers, s.replicas[i])
	}
	return scorers, nil
}

// closeReplicas ends the script's processes and removes their folder.
func (s *host) closeReplicas(ctx context.Context) error {
	var err error
	for _, p := range s.replicas {
		if p != nil {
			err = errors.Join(err, p.Close(ctx))
		}
	}
	if s.dir != nil {
		err = errors.Join(err, s.dir.remove())
	}
	return err
}

// logger writes what happens to the service into its log.
func (s *host) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// keyring holds the keys that are accepted now.
type keyring struct {
	mu   sync.RWMutex
	keys []string
}

func (k *keyring) accepted() []string {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.keys
}

func (k *keyring) load(ctx context.Context, h core.Handle, name string, disabled bool) error {
	if disabled {
		return nil
	}
	var keys []string
	for _, which := range []Key{PrimaryKey, SecondaryKey} {
		value, err := h.Secrets().Get(ctx, secretName(name, which))
		if err != nil {
			return fmt.Errorf("read the %s key: %w", which, err)
		}
		keys = append(keys, value)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys = keys
	return nil
}
