package mlflow

import (
	"cmp"
	"context"
	"errors"
	"path"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/registry"
)

// versionFiles are the files of a version, and where they come from.
type versionFiles struct {
	source     string // the URI for the version's record
	path       string // the name of the file or folder
	experiment string // of the run or logged model
	modelID    string
	manifest   *files.Manifest // nil when the workspace has none
}

// versionFiles finds the files of a version: those of a run or of a logged model
// that is here, of which no byte moves, or else those of its URI, which are read.
func (i *importer) versionFiles(ctx context.Context, v modelVersion) (versionFiles, error) {
	f := versionFiles{source: v.source}
	if v.tags[tagPrompt] != "" {
		return f, nil // it is nothing but its tags
	}
	if id, isModel := strings.CutPrefix(v.source, "models:/"); isModel && !strings.ContainsAny(id, "/@") {
		if err := i.filesOfModel(ctx, &f, id); err != nil || f.manifest != nil {
			return f, err
		}
	} else if id, folder, below, err := i.belowRun(ctx, v); err != nil {
		return f, err
	} else if below {
		if err := i.filesOfRun(ctx, &f, id, folder); err != nil || f.manifest != nil {
			return f, err
		}
	}
	f.path = path.Base(v.source)
	p := &parcel{importer: i, at: place{uri: cmp.Or(v.storage, v.source)}, keep: func(_ context.Context, m *files.Manifest) error {
		f.manifest = m
		return nil
	}}
	return f, p.fill(ctx)
}

// filesOfModel takes the files of a logged model.
func (i *importer) filesOfModel(ctx context.Context, f *versionFiles, id string) error {
	m, err := history.LoggedModel(ctx, i.h, id)
	if errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrInvalid) {
		return nil
	}
	if err != nil {
		return err
	}
	found, err := history.LoggedModelFiles(id).Files(ctx, i.h, "")
	if err == nil && len(found.Files) > 0 {
		f.modelID, f.path, f.experiment, f.manifest = id, m.Value.Name, m.Value.Experiment, found
	}
	return err
}

// filesOfRun takes files of a run.
func (i *importer) filesOfRun(ctx context.Context, f *versionFiles, id, folder string) error {
	r, err := history.Get(ctx, i.h, id)
	if errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrInvalid) {
		return nil
	}
	if err != nil {
		return err
	}
	found, err := history.Files(ctx, i.h, r.Value, folder)
	if err == nil && len(found.Files) > 0 {
		f.source, f.path, f.experiment, f.manifest = "runs:/"+id+"/"+folder, folder, r.Value.Experiment, registry.Rooted(found, folder)
	}
	return err
}

// belowRun tells which folder or file of a run the version was registered from.
func (i *importer) belowRun(ctx context.Context, v modelVersion) (id, folder string, below bool, err error) {
	if rest, ok := strings.CutPrefix(v.source, "runs:/"); ok {
		id, folder, _ = strings.Cut(strings.Trim(rest, "/"), "/")
		return id, folder, folder != "", nil
	}
	if v.runID == "" {
		return "", "", false, nil
	}
	root, known := i.roots[v.runID]
	if !known {
		r, err := i.src.run(ctx, v.runID)
		if err != nil && !errors.Is(err, azml.ErrNotFound) {
			return "", "", false, err
		}
		root = r.artifacts
		i.roots[v.runID] = root
	}
	if root == "" {
		return "", "", false, nil
	}
	folder, below = strings.CutPrefix(strings.TrimPrefix(v.source, "file://"), strings.TrimSuffix(strings.TrimPrefix(root, "file://"), "/")+"/")
	return v.runID, strings.Trim(folder, "/"), below, nil
}
