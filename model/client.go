package model

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/registry"
)

const kind = "model"

// Client registers, finds and deletes models of a workspace. It is safe for
// concurrent use.
type Client struct{ h core.Handle }

// Latest as a version means the highest one that is not deleted.
const Latest = 0

// RegisterOptions are the options of registering a model.
type RegisterOptions struct {
	// Description is free text of at most 5,000 characters.
	Description string
	// Tags are free labels that can be changed later.
	Tags map[string]string
	// Properties are labels that never change once set.
	Properties map[string]string
	// Framework is the framework's name, such as "ScikitLearn" or "Onnx";
	// empty means "Custom".
	Framework string
	// FrameworkVersion is the framework's version. It needs a Framework.
	FrameworkVersion string
	// ChildPaths are the files and folders below the registered folder that the
	// model is made of, all when empty.
	ChildPaths []string
	// Datasets are the versions of datasets that the model was made with.
	Datasets []DatasetReference
	// SampleInputDataset names a version of a dataset, as "name:version", with
	// examples of what the model is given.
	SampleInputDataset string
	// SampleOutputDataset names one with what it answers.
	SampleOutputDataset string
	// Resources are what a replica that serves the model should have.
	Resources Resources
	// Signature says what the model takes and gives, for endpoints to hold
	// requests against. nil takes that of the file MLmodel, if the model has one.
	Signature *Signature
	// Progress, when not nil, is called now and then with the bytes of local
	// files that were read so far, from several goroutines at once.
	Progress func(read int64)
}

// GetOptions are the options of Client.Get; there are none so far.
type GetOptions struct{}

// DeleteOptions are the options of Client.Delete; there are none so far.
type DeleteOptions struct{}

func (o *RegisterOptions) check(name string) error {
	if err := core.ModelName.Check(name); err != nil {
		return err
	}
	if o.FrameworkVersion != "" && o.Framework == "" {
		return fmt.Errorf("%w: framework version %q without a framework: set Framework too", azml.ErrInvalid, o.FrameworkVersion)
	}
	if err := core.CheckText("description", o.Description); err != nil {
		return err
	}
	if err := core.CheckModelTags(o.Tags); err != nil {
		return err
	}
	if err := core.CheckLabels("properties", o.Properties); err != nil {
		return err
	}
	return o.checkUse()
}

func (o *RegisterOptions) fill(m *record.Model) {
	m.Description, m.Tags, m.Properties = o.Description, o.Tags, o.Properties
	m.Framework, m.FrameworkVersion = o.Framework, o.FrameworkVersion
	if m.Framework == "" {
		m.Framework = "Custom"
	}
	o.fillUse(m)
}

// Register stores the file or folder at path as the next version of the model
// and returns when it is durable. Nothing is registered when it fails. Names
// are 1 to 255 letters, digits, ".", "_" or "-", the first a letter or digit.
// Errors: ErrInvalid, ErrNotFound when there is nothing at path.
func (c *Client) Register(ctx context.Context, name, path string, opts *RegisterOptions) (_ *Model, err error) {
	defer c.h.Operation(&ctx, &err, "register", kind, name)()
	if opts == nil {
		opts = &RegisterOptions{}
	}
	if err := opts.check(name); err != nil {
		return nil, err
	}
	if err := checkDatasets(ctx, c.h, opts); err != nil {
		return nil, err
	}
	manifest, err := upload(ctx, c.h, path, opts)
	if err != nil {
		return nil, err
	}
	draft := record.Model{Name: name, Path: filepath.Base(filepath.Clean(path))}
	opts.fill(&draft)
	return register(ctx, c.h, draft, manifest)
}

// upload stores a file, or what of a folder is to be the model.
func upload(ctx context.Context, h core.Handle, path string, opts *RegisterOptions) (*files.Manifest, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	batch, err := h.Files().NewBatch(ctx, &files.BatchOptions{Progress: opts.Progress})
	if err != nil {
		return nil, err
	}
	defer batch.Abort()
	switch {
	case len(opts.ChildPaths) > 0:
		err = addChildren(ctx, batch, path, opts.ChildPaths)
	case info.IsDir():
		err = files.AddTree(ctx, batch, path, "")
	default:
		err = batch.AddFile(ctx, filepath.Base(path), path)
	}
	if err != nil {
		return nil, err
	}
	manifest, _, err := batch.Commit(ctx)
	return manifest, err
}

func register(ctx context.Context, h core.Handle, draft record.Model, manifest *files.Manifest) (*Model, error) {
	if !slices.ContainsFunc(manifest.Files, files.File.IsRegular) {
		return nil, fmt.Errorf("%w: %q holds no files", azml.ErrInvalid, draft.Path)
	}
	stored, err := registry.Register(ctx, h, draft.Name, draft, manifest)
	if err != nil {
		return nil, err
	}
	return wrap(h, stored), nil
}

// Get finds a version of the model; version Latest (0) means the highest one
// that is not deleted. Errors: ErrNotFound, ErrInvalid.
func (c *Client) Get(ctx context.Context, name string, version int, _ *GetOptions) (_ *Model, err error) {
	id := name
	if version != Latest {
		id = registry.Versions(name).Ref(version).Name
	}
	defer c.h.Operation(&ctx, &err, "get", kind, id)()
	if version < 0 {
		return nil, fmt.Errorf("%w: versions count from 1; 0 means the latest", azml.ErrInvalid)
	}
	if version == Latest {
		return c.wrapFound(registry.Latest(ctx, c.h, name))
	}
	return c.wrapFound(registry.Version(ctx, c.h, name, version))
}

// GetByAlias finds the version of the model that the alias points to now.
// Errors: ErrNotFound, ErrInvalid.
func (c *Client) GetByAlias(ctx context.Context, name, alias string, _ *GetOptions) (_ *Model, err error) {
	defer c.h.Operation(&ctx, &err, "get", kind, name+"@"+alias)()
	return c.wrapFound(registry.ByAlias(ctx, c.h, name, alias))
}

// GetByID finds the model that id names: "name:version", "name@alias", or a name
// alone for its latest version. Errors: ErrNotFound, ErrInvalid.
func (c *Client) GetByID(ctx context.Context, id string, opts *GetOptions) (*Model, error) {
	if name, alias, isAlias := strings.Cut(id, "@"); isAlias {
		return c.GetByAlias(ctx, name, alias, opts)
	}
	name, version, err := ParseID(id)
	if err != nil {
		return nil, err
	}
	return c.Get(ctx, name, version, opts)
}

func (c *Client) wrapFound(stored core.Stored[record.Model], err error) (*Model, error) {
	if err != nil {
		return nil, err
	}
	return wrap(c.h, stored), nil
}
