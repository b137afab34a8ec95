package model

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/registry"
)

// Model is one version of a model as it was last read. Methods that change it
// return the changed model; the receiver stays as it is. It is safe for
// concurrent use.
type Model struct {
	h      core.Handle
	stored core.Stored[record.Model]
}

func wrap(h core.Handle, stored core.Stored[record.Model]) *Model { return &Model{h, stored} }

// Details is what a model's record says.
type Details struct {
	// ID is "name:version".
	ID string `json:"id"`
	// Name is the model's name.
	Name string `json:"name"`
	// Version counts from 1.
	Version int `json:"version"`
	// Description is free text.
	Description string `json:"description,omitempty"`
	// Framework is the framework's name, "Custom" when none was given.
	Framework string `json:"framework,omitempty"`
	// FrameworkVersion is the framework's version.
	FrameworkVersion string `json:"frameworkVersion,omitempty"`
	// Tags are free labels that can change.
	Tags map[string]string `json:"tags,omitempty"`
	// Properties are labels that never change once set.
	Properties map[string]string `json:"properties,omitempty"`
	// Path is the name of the file or folder it was registered from.
	Path string `json:"path"`
	// Size is the sum of the files' sizes in bytes.
	Size int64 `json:"size"`
	// FileCount is the number of files.
	FileCount int `json:"fileCount"`
	// RunID is the run it was registered from, empty for local files.
	RunID string `json:"runId,omitempty"`
	// Experiment is that run's experiment.
	Experiment string `json:"experiment,omitempty"`
	// Stage is the version's stage, empty when it is in none.
	Stage Stage `json:"stage,omitempty"`
	// Source is the URI that an MLflow client has registered it from, empty when
	// it was registered otherwise. Without files in the workspace (FileCount is
	// 0), that is where they are.
	Source string `json:"source,omitempty"`
	// Lineage holds where the model comes from, as it was when registered:
	// "snapshot", "environment", "environmentHash", and the git properties of the
	// run. Empty for local files.
	Lineage map[string]string `json:"lineage,omitempty"`
	// Datasets are the versions of datasets that it was made with.
	Datasets []DatasetReference `json:"datasets,omitempty"`
	// SampleInputDataset names the dataset with examples of what it is given.
	SampleInputDataset string `json:"sampleInputDataset,omitempty"`
	// SampleOutputDataset names the dataset with examples of what it answers.
	SampleOutputDataset string `json:"sampleOutputDataset,omitempty"`
	// Resources are what a replica that serves it should have.
	Resources Resources `json:"resourceConfiguration,omitzero"`
	// Signature says what it takes and gives, nil when nobody has said it.
	Signature *Signature `json:"signature,omitempty"`
	// Created is when it was registered.
	Created time.Time `json:"createdTime"`
	// CreatedBy is who registered it.
	CreatedBy string `json:"createdBy"`
}

// ID gives "name:version".
func (m *Model) ID() string { return registry.Versions(m.Name()).Ref(m.Version()).Name }

// Name gives the model's name.
func (m *Model) Name() string { return m.stored.Value.Name }

// Version gives the version, which counts from 1.
func (m *Model) Version() int { return m.stored.Value.Version }

// RunID gives the run it was registered from, empty for local files.
func (m *Model) RunID() string { return m.stored.Value.RunID }

// Details gives a copy of the record.
func (m *Model) Details() Details {
	r := m.stored.Value
	var datasets []DatasetReference
	for _, d := range r.Datasets {
		datasets = append(datasets, DatasetReference(d))
	}
	return Details{ID: m.ID(), Name: r.Name, Version: r.Version, Description: r.Description, Framework: r.Framework,
		FrameworkVersion: r.FrameworkVersion, Tags: maps.Clone(r.Tags), Properties: maps.Clone(r.Properties), Path: r.Path,
		Size: r.Size, FileCount: r.FileCount, RunID: r.RunID, Experiment: r.Experiment, Stage: Stage(r.Stage), Source: r.Source, Lineage: maps.Clone(r.Lineage),
		Datasets: datasets, SampleInputDataset: r.SampleInput, SampleOutputDataset: r.SampleOutput, Resources: Resources(r.Resources), Signature: signatureOf(r.Signature),
		Created: r.Created, CreatedBy: r.CreatedBy}
}

// ParseID splits "name:version"; a name alone gives version Latest. Errors:
// ErrInvalid.
func ParseID(id string) (name string, version int, err error) {
	name, number, found := strings.Cut(id, ":")
	if found {
		if version, err = strconv.Atoi(number); err != nil || version < 1 || strconv.Itoa(version) != number {
			return "", 0, fmt.Errorf("%w: model %q: write name:version, with a version from 1", azml.ErrInvalid, id)
		}
	}
	return name, version, core.ModelName.Check(name)
}

// Update says what to change about a model; zero fields leave things as they are.
type Update struct {
	// Description replaces the description, unless it is nil.
	Description *string
	// SetTags adds tags or replaces their values.
	SetTags map[string]string
	// RemoveTags removes tags; missing ones are passed over.
	RemoveTags []string
	// AddProperties adds properties. A property that is there already can't be
	// changed: ErrConflict, unless the value is the same.
	AddProperties map[string]string
	// Stage moves the version to the stage, StageNone to none.
	Stage Stage
}

// Stage is where a version is in its life, as MLflow has it.
type Stage string

// The stages of a version. A version that is in none has the empty Stage.
const (
	// StageNone takes a version out of its stage.
	StageNone Stage = "None"
	// StageStaging says that it is being tried.
	StageStaging Stage = record.StageStaging
	// StageProduction says that it is in use.
	StageProduction Stage = record.StageProduction
	// StageArchived says that it was in use.
	StageArchived Stage = record.StageArchived
)

// Update changes the model's description, tags, properties and stage, all in
// one write, and gives the changed model. Errors: ErrNotFound when it was deleted,
// ErrConflict, ErrInvalid.
func (m *Model) Update(ctx context.Context, change Update) (_ *Model, err error) {
	defer m.h.Operation(&ctx, &err, "update", kind, m.ID())()
	if change.Stage != "" {
		if err := registry.UseStages(ctx, m.h, m.Name()); err != nil {
			return nil, err
		}
	}
	note := core.Updated("description, tags, properties or stage")
	stored, err := registry.UpdateVersion(ctx, m.h, m.Name(), m.Version(), note, func(r *record.Model) error {
		if change.Description != nil {
			r.Description = *change.Description
		}
		r.Tags = core.ChangeLabels(r.Tags, change.SetTags, change.RemoveTags)
		if r.Properties, err = core.AddLabels(r.Properties, change.AddProperties); err != nil {
			return err
		}
		if err := change.Stage.set(r); err != nil {
			return err
		}
		check := RegisterOptions{Description: r.Description, Tags: r.Tags, Properties: r.Properties}
		return check.check(r.Name)
	})
	if err != nil {
		return nil, err
	}
	return wrap(m.h, stored), nil
}

// set puts the version into the stage.
func (s Stage) set(r *record.Model) error {
	switch {
	case s == "":
	case s == StageNone:
		r.Stage = ""
	case slices.Contains(record.Stages(), string(s)):
		r.Stage = string(s)
	default:
		return fmt.Errorf("%w: stage %q: use one of %s, %s", azml.ErrInvalid, string(s), StageNone, strings.Join(record.Stages(), ", "))
	}
	return nil
}

// Refresh reads the record again. Errors: ErrNotFound when it was deleted.
func (m *Model) Refresh(ctx context.Context) (*Model, error) {
	return NewClient(m.h).Get(ctx, m.Name(), m.Version(), nil)
}

// File describes one file of a model.
type File struct {
	// Path is the path inside the model, parts joined by "/".
	Path string `json:"path"`
	// Size is the number of bytes.
	Size int64 `json:"size"`
	// Digest is the SHA-256 of the content, in hexadecimal.
	Digest string `json:"sha256,omitempty"`
}

// Files lists the model's files by path. It costs one read.
func (m *Model) Files(ctx context.Context) (_ []File, err error) {
	defer m.h.Operation(&ctx, &err, "list files of", kind, m.ID())()
	manifest, err := m.manifest(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]File, len(manifest.Files))
	for i, f := range manifest.Files {
		list[i] = File{Path: f.Path, Size: f.Size, Digest: f.Digest}
	}
	return list, nil
}

// Open opens one file of the model for reading; it is verified on the way.
// name may be empty when the model is a single file. The caller closes it.
// Errors: ErrNotFound, ErrDamaged.
func (m *Model) Open(ctx context.Context, name string) (_ io.ReadSeekCloser, err error) {
	defer m.h.Operation(&ctx, &err, "open a file of", kind, m.ID())()
	manifest, err := m.manifest(ctx)
	if err != nil {
		return nil, err
	}
	if name == "" && len(manifest.Files) == 1 {
		name = manifest.Files[0].Path
	}
	for _, f := range manifest.Files {
		if f.Path == path.Clean(name) {
			return m.h.Files().Open(ctx, f)
		}
	}
	return nil, fmt.Errorf("%w: it has no file %q, but %s", azml.ErrNotFound, name, core.Sample(paths(manifest)))
}

// DownloadOptions are the options of Model.Download.
type DownloadOptions struct {
	// Overwrite replaces files that are there; without it they are an error.
	Overwrite bool
	// Progress, when not nil, is called now and then with the bytes done and
	// the bytes in all.
	Progress func(done, total int64)
}

// Download writes the model's files below dir, which is created, verifying
// every byte. Errors: ErrExists when a file is there and Overwrite is not set,
// ErrDamaged.
func (m *Model) Download(ctx context.Context, dir string, opts *DownloadOptions) (err error) {
	defer m.h.Operation(&ctx, &err, "download", kind, m.ID())()
	if opts == nil {
		opts = &DownloadOptions{}
	}
	manifest, err := m.manifest(ctx)
	if err != nil {
		return err
	}
	return m.h.Files().Restore(ctx, manifest, dir, &files.RestoreOptions{Overwrite: opts.Overwrite, Progress: opts.Progress})
}

func (m *Model) manifest(ctx context.Context) (*files.Manifest, error) {
	if m.stored.Value.Manifest == "" {
		return nil, fmt.Errorf("%w: its files are not in the workspace but at %s", azml.ErrUnsupported, m.stored.Value.Source)
	}
	return m.h.Files().Manifest(ctx, m.stored.Value.Manifest)
}

func paths(m *files.Manifest) []string {
	var all []string
	for _, f := range m.Files {
		all = append(all, f.Path)
	}
	return all
}
