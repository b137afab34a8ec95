package mlflow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/azml-go/azml"
)

// folder reads MLflow's file store: a folder of experiments, most of it one
// small file for each value.
type folder struct {
	dir string
	local
}

// trash is the folder of deleted experiments.
const trash = ".trash"

// metaFile holds what is known of an experiment, a run or a model itself.
const metaFile = "meta.yaml"

func openFolder(dir, artifacts string) (source, error) {
	if _, err := os.ReadDir(dir); err != nil {
		return nil, err
	}
	l, err := newLocal(dir, artifacts)
	if err != nil {
		return nil, err
	}
	f := &folder{dir: l.own, local: l}
	ids, err := f.experimentDirs()
	if err == nil && len(ids) == 0 {
		err = fmt.Errorf("%w: %s is no file store of MLflow: no folder in it has a %s", azml.ErrInvalid, dir, metaFile)
	}
	return f, err
}

// openPath opens a folder or a database file.
func openPath(ctx context.Context, path, artifacts string) (source, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return openFolder(path, artifacts)
	}
	return openDatabase(ctx, path, artifacts)
}

func (f *folder) name() string { return f.dir }

func (f *folder) close() error { return nil }

// experimentDirs gives the folders of all experiments, deleted ones too.
func (f *folder) experimentDirs() ([]string, error) {
	var found []string
	for _, parent := range []string{f.dir, filepath.Join(f.dir, trash)} {
		names, err := subfolders(parent)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			dir := filepath.Join(parent, name)
			if name == trash || name == "models" && parent == f.dir {
				continue
			}
			if _, err := os.Stat(filepath.Join(dir, metaFile)); err == nil {
				found = append(found, dir)
			}
		}
	}
	return found, nil
}

// subfolders gives the names of folders in a folder, none when it isn't there.
func subfolders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// meta reads a file of YAML.
func meta(dir string, into any) error {
	path := filepath.Join(dir, metaFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%w: %s: %w", azml.ErrDamaged, path, err)
	}
	return nil
}

func (f *folder) experiments(context.Context) iter.Seq2[experiment, error] {
	return func(yield func(experiment, error) bool) {
		dirs, err := f.experimentDirs()
		if err != nil {
			yield(experiment{}, err)
			return
		}
		var list []experiment
		for _, dir := range dirs {
			e, err := readExperiment(dir)
			if err != nil {
				yield(experiment{}, err)
				return
			}
			list = append(list, e)
		}
		slices.SortStableFunc(list, func(a, b experiment) int { return a.created.Compare(b.created) })
		for _, e := range list {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func readExperiment(dir string) (experiment, error) {
	var m struct {
		ID        string `yaml:"experiment_id"`
		Name      string `yaml:"name"`
		Location  string `yaml:"artifact_location"`
		Lifecycle string `yaml:"lifecycle_stage"`
		Created   int64  `yaml:"creation_time"`
		Updated   int64  `yaml:"last_update_time"`
	}
	if err := meta(dir, &m); err != nil {
		return experiment{}, err
	}
	tags, err := texts(filepath.Join(dir, "tags"))
	return experiment{id: filepath.Base(dir), name: m.Name, location: m.Location, deleted: m.Lifecycle == lifecycleDeleted || filepath.Base(filepath.Dir(dir)) == trash,
		created: moment(m.Created), updated: moment(m.Updated), tags: tags}, err
}

// texts reads a folder of files whose names, which may have slashes, are keys.
func texts(dir string) (map[string]string, error) {
	found := map[string]string{}
	err := each(dir, func(key, path string) error {
		data, err := os.ReadFile(path)
		found[key] = string(data)
		return err
	})
	return found, err
}

// each calls do with every file below dir, none when it isn't there.
func each(dir string, do func(key, path string) error) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		key, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return do(filepath.ToSlash(key), path)
	})
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	return err
}

// experimentDir finds the folder of an experiment.
func (f *folder) experimentDir(id string) string {
	if dir := filepath.Join(f.dir, id); exists(dir) {
		return dir
	}
	return filepath.Join(f.dir, trash, id)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (f *folder) runs(_ context.Context, experimentID string) iter.Seq2[run, error] {
	return func(yield func(run, error) bool) {
		dir := f.experimentDir(experimentID)
		names, err := subfolders(dir)
		if err != nil {
			yield(run{}, err)
			return
		}
		var list []run
		for _, name := range names {
			if !exists(filepath.Join(dir, name, metaFile)) {
				continue // tags, datasets, traces, models
			}
			r, err := readRunInfo(filepath.Join(dir, name), experimentID)
			if err != nil {
				yield(run{}, err)
				return
			}
			list = append(list, r)
		}
		byStart(list)
		for _, r := range list {
			err := f.complete(&r)
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

func (f *folder) run(_ context.Context, id string) (run, error) {
	dirs, err := f.experimentDirs()
	if err != nil {
		return run{}, err
	}
	for _, dir := range dirs {
		at := filepath.Join(dir, id)
		if !filepath.IsLocal(id) || strings.ContainsAny(id, `/\`) || !exists(filepath.Join(at, metaFile)) {
			continue
		}
		r, err := readRunInfo(at, filepath.Base(dir))
		if err == nil {
			err = f.complete(&r)
		}
		return r, err
	}
	return run{}, fmt.Errorf("%w: there is no run %s", azml.ErrNotFound, id)
}

// statuses are MLflow's statuses as files have them.
var statuses = map[int]string{1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}

func readRunInfo(dir, experimentID string) (run, error) {
	var m struct {
		Name      string `yaml:"run_name"`
		User      string `yaml:"user_id"`
		Status    int    `yaml:"status"`
		Started   int64  `yaml:"start_time"`
		Ended     int64  `yaml:"end_time"`
		Artifacts string `yaml:"artifact_uri"`
		Lifecycle string `yaml:"lifecycle_stage"`
		Deleted   int64  `yaml:"deleted_time"`
	}
	if err := meta(dir, &m); err != nil {
		return run{}, err
	}
	return run{id: filepath.Base(dir), experiment: experimentID, name: m.Name, user: m.User, status: statuses[m.Status], started: moment(m.Started),
		ended: moment(m.Ended), deleted: m.Lifecycle == lifecycleDeleted, deletedAt: moment(m.Deleted), artifacts: m.Artifacts}, nil
}

func (f *folder) runDir(r run) string { return filepath.Join(f.experimentDir(r.experiment), r.id) }

// complete reads the files beside the run's own.
func (f *folder) complete(r *run) (err error) {
	dir := f.runDir(*r)
	if r.params, err = texts(filepath.Join(dir, "params")); err != nil {
		return err
	}
	if r.tags, err = texts(filepath.Join(dir, "tags")); err != nil {
		return err
	}
	if r.name == "" {
		r.name = r.tags[tagName]
	}
	r.metrics = map[string]string{}
	err = each(filepath.Join(dir, "metrics"), func(key, path string) error {
		info, err := os.Stat(path)
		if err == nil {
			r.metrics[key] = strconv.FormatInt(info.Size(), 10) // lines are only added
		}
		return err
	})
	if err == nil {
		err = f.inputs(r, dir)
	}
	return err
}

// link is a use of a dataset or a logged model.
type link struct {
	Source      string            `yaml:"source_id"`
	SourceType  string            `yaml:"source_type"`
	Destination string            `yaml:"destination_id"`
	Step        int64             `yaml:"step"`
	Tags        map[string]string `yaml:"tags"`
}

// inputs reads the datasets and logged models that the run has used or made.
func (f *folder) inputs(r *run, dir string) error {
	links, err := readLinks(filepath.Join(dir, "inputs"))
	if err != nil {
		return err
	}
	for _, l := range links {
		if l.SourceType != "DATASET" {
			r.modelsIn = append(r.modelsIn, l.Destination)
			continue
		}
		var m struct {
			Name       string `yaml:"name"`
			Digest     string `yaml:"digest"`
			SourceType string `yaml:"source_type"`
			Source     string `yaml:"source"`
			Schema     string `yaml:"schema"`
			Profile    string `yaml:"profile"`
		}
		if err := meta(filepath.Join(f.experimentDir(r.experiment), "datasets", filepath.Base(l.Source)), &m); err != nil {
			return err
		}
		r.datasets = append(r.datasets, dataset{name: m.Name, digest: m.Digest, sourceType: m.SourceType, source: m.Source, schema: m.Schema,
			profile: m.Profile, tags: l.Tags})
	}
	made, err := readLinks(filepath.Join(dir, "outputs"))
	for _, l := range made {
		r.modelsOut = append(r.modelsOut, modelOutput{l.Destination, l.Step})
	}
	return err
}

func readLinks(dir string) ([]link, error) {
	names, err := subfolders(dir)
	var links []link
	for _, name := range names {
		var l link
		if err := meta(filepath.Join(dir, name), &l); err != nil {
			return nil, err
		}
		links = append(links, l)
	}
	return links, err
}

func (f *folder) files(_ context.Context, at place) iter.Seq2[file, error] {
	return f.local.files(f.artifactsOf(at))
}

func (f *folder) open(_ context.Context, at place, path string) (io.ReadCloser, error) {
	return f.read(f.artifactsOf(at), path)
}

// artifactsOf gives where the artifacts are: by default in the folder of what
// they belong to, also when the store was copied from elsewhere.
func (f *folder) artifactsOf(at place) string {
	dir := f.experimentDir(at.experiment)
	switch {
	case at.runID != "":
		dir = filepath.Join(dir, at.runID, "artifacts")
	case at.modelID != "":
		dir = filepath.Join(dir, "models", at.modelID, "artifacts")
	default:
		return at.uri
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return dir
	}
	_, err := f.folder(at.uri)
	if nowhere, ok := errors.AsType[*unreadable](err); ok && nowhere.gone && exists(dir) {
		return dir // which is empty, as is what it was before the store was copied
	}
	return at.uri
}

func (f *folder) leftOut(_ context.Context, e experiment) (map[string]int64, error) {
	traces, err := subfolders(filepath.Join(f.experimentDir(e.id), "traces"))
	return map[string]int64{"traces": int64(len(traces))}, err
}

func (f *folder) others(context.Context) (map[string]int64, error) { return nil, nil }
