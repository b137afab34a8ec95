package mlflow

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/azml-go/azml"
)

func (f *folder) loggedModels(_ context.Context, experimentID string) iter.Seq2[loggedModel, error] {
	return func(yield func(loggedModel, error) bool) {
		dir := filepath.Join(f.experimentDir(experimentID), "models")
		names, err := subfolders(dir)
		if err != nil {
			yield(loggedModel{}, err)
			return
		}
		var list []loggedModel
		for _, name := range names {
			m, deleted, err := readLoggedModel(filepath.Join(dir, name), experimentID)
			if err != nil {
				yield(loggedModel{}, err)
				return
			}
			if !deleted {
				list = append(list, m)
			}
		}
		slices.SortStableFunc(list, func(a, b loggedModel) int { return a.created.Compare(b.created) })
		for _, m := range list {
			if !yield(m, nil) {
				return
			}
		}
	}
}

func readLoggedModel(dir, experimentID string) (_ loggedModel, deleted bool, err error) {
	var m struct {
		Name      string `yaml:"name"`
		Kind      string `yaml:"model_type"`
		RunID     string `yaml:"source_run_id"`
		Status    int    `yaml:"status"`
		Created   int64  `yaml:"creation_timestamp"`
		Artifacts string `yaml:"artifact_location"`
		Lifecycle string `yaml:"lifecycle_stage"`
	}
	if err := meta(dir, &m); err != nil {
		return loggedModel{}, false, err
	}
	l := loggedModel{id: filepath.Base(dir), experiment: experimentID, name: m.Name, kind: m.Kind, runID: m.RunID, status: loggedModelStatuses[m.Status],
		created: moment(m.Created), artifacts: m.Artifacts}
	if l.params, err = texts(filepath.Join(dir, "params")); err != nil {
		return l, false, err
	}
	if l.tags, err = texts(filepath.Join(dir, "tags")); err != nil {
		return l, false, err
	}
	err = each(filepath.Join(dir, "metrics"), func(key, path string) error {
		found, err := readModelMetrics(key, path)
		l.metrics = append(l.metrics, found...)
		return err
	})
	return l, m.Lifecycle == lifecycleDeleted, err
}

// readModelMetrics reads a metric's lines: those of a run, with the run's ID as
// the fourth word.
func readModelMetrics(name, path string) ([]modelMetric, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	latest := map[modelMetric]modelMetric{} // by all but the point
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		if len(words) < 4 || !strings.HasSuffix(line, "\n") {
			continue // cut off, or of a version that names no run
		}
		p, err := parsePoint([]byte(line))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		of := modelMetric{name: name, runID: words[3]}
		if len(words) > 5 {
			of.dataset, of.digest = words[4], words[5]
		}
		m := of
		m.point = p
		if have, there := latest[of]; !there || m.compare(have.point) >= 0 {
			latest[of] = m
		}
	}
	return slices.Collect(maps.Values(latest)), nil
}

func (f *folder) models(context.Context) iter.Seq2[registeredModel, error] {
	return func(yield func(registeredModel, error) bool) {
		dir := filepath.Join(f.dir, "models")
		names, err := subfolders(dir)
		if err != nil {
			yield(registeredModel{}, err)
			return
		}
		for _, name := range names {
			if !exists(filepath.Join(dir, name, metaFile)) {
				continue
			}
			m, err := readRegistered(filepath.Join(dir, name))
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

func readRegistered(dir string) (registeredModel, error) {
	var m struct {
		Description string `yaml:"description"`
		Created     int64  `yaml:"creation_timestamp"`
	}
	if err := meta(dir, &m); err != nil {
		return registeredModel{}, err
	}
	r := registeredModel{name: filepath.Base(dir), description: m.Description, created: moment(m.Created), aliases: map[string]int{}}
	var err error
	if r.tags, err = texts(filepath.Join(dir, "tags")); err != nil {
		return r, err
	}
	aliases, err := texts(filepath.Join(dir, "aliases"))
	for alias, version := range aliases {
		n, parseErr := strconv.Atoi(strings.TrimSpace(version))
		if err == nil && parseErr != nil {
			err = fmt.Errorf("%w: alias %q in %s: %w", azml.ErrDamaged, alias, dir, parseErr)
		}
		r.aliases[alias] = n
	}
	return r, err
}

func (f *folder) versions(_ context.Context, model string) iter.Seq2[modelVersion, error] {
	return func(yield func(modelVersion, error) bool) {
		dir := filepath.Join(f.dir, "models", model)
		names, err := subfolders(dir)
		if err != nil {
			yield(modelVersion{}, err)
			return
		}
		var list []modelVersion
		for _, name := range names {
			if !strings.HasPrefix(name, "version-") {
				continue
			}
			v, err := readVersion(filepath.Join(dir, name))
			if err != nil {
				yield(modelVersion{}, err)
				return
			}
			if v.stage != "Deleted_Internal" {
				list = append(list, v)
			}
		}
		slices.SortFunc(list, func(a, b modelVersion) int { return a.number - b.number })
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}

func readVersion(dir string) (modelVersion, error) {
	var m struct {
		Number      int    `yaml:"version"`
		Description string `yaml:"description"`
		Stage       string `yaml:"current_stage"`
		Source      string `yaml:"source"`
		Storage     string `yaml:"storage_location"`
		RunID       string `yaml:"run_id"`
		RunLink     string `yaml:"run_link"`
		Created     int64  `yaml:"creation_timestamp"`
	}
	if err := meta(dir, &m); err != nil {
		return modelVersion{}, err
	}
	tags, err := texts(filepath.Join(dir, "tags"))
	return modelVersion{number: m.Number, description: m.Description, stage: m.Stage, source: m.Source, storage: m.Storage, runID: m.RunID,
		runLink: m.RunLink, created: moment(m.Created), tags: tags}, err
}
