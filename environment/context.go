package environment

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/image"
	"github.com/azml-go/azml/internal/record"
)

// BuildContext is a folder with a Dockerfile, which may copy the files in it. It is
// what FromBuildContext has found in a folder, or what is registered.
type BuildContext struct {
	// Dockerfile is the path of the Dockerfile in the folder, parted by "/".
	Dockerfile string `json:"dockerfile"`
	// Hash is the content hash of what is sent of the folder: paths, contents, who
	// may execute a file, and targets of links.
	Hash string `json:"hash"`
	// Files is the ID of the stored files, empty before they are.
	Files string `json:"files,omitempty"`

	folder *image.Folder
}

// FromBuildContext gives an environment whose image is made by a Dockerfile in a
// folder of this machine, at a path in it, "Dockerfile" when empty. What the folder's
// .dockerignore names is left out, by Docker's rules; links must stay inside. All
// files are read, for their hash. Registering stores them in the workspace: one whose
// folder was changed in between is refused with ErrConflict. Errors: ErrNotFound,
// ErrInvalid, ErrDenied.
func FromBuildContext(name, dir, dockerfile string) (_ Spec, err error) {
	defer core.Wrap(&err, "read build context of", kind, name)
	if dockerfile == "" {
		dockerfile = "Dockerfile"
	}
	dockerfile = filepath.ToSlash(filepath.Clean(dockerfile))
	folder, err := image.ScanFolder(dir, dockerfile)
	if err != nil {
		return Spec{}, err
	}
	return Spec{Name: name, Docker: Docker{BuildContext: &BuildContext{Dockerfile: dockerfile, Hash: folder.Hash(), folder: folder}}}, nil
}

func (d Docker) record() record.Docker {
	r := record.Docker{BaseImage: d.BaseImage, BaseDockerfile: d.BaseDockerfile}
	if c := d.BuildContext; c != nil {
		r.BuildContext = &record.BuildContext{Files: c.Files, Hash: c.Hash, Dockerfile: c.Dockerfile}
	}
	return r
}

func dockerOf(r record.Docker) Docker {
	d := Docker{BaseImage: r.BaseImage, BaseDockerfile: r.BaseDockerfile}
	if c := r.BuildContext; c != nil {
		d.BuildContext = &BuildContext{Files: c.Files, Hash: c.Hash, Dockerfile: c.Dockerfile}
	}
	return d
}

// keep stores the build context of an environment, when it has one that is not
// stored, and gives the record that names it. That of another workspace is not here.
func (c *Client) keep(ctx context.Context, spec Spec) (record.Environment, error) {
	env := spec.record()
	from := spec.Docker.BuildContext
	if from == nil {
		return env, nil
	}
	var err error
	if from.folder != nil {
		env.Docker.BuildContext.Files, err = from.folder.Store(ctx, c.h.Files())
		return env, err
	}
	m, err := c.h.Files().Manifest(ctx, from.Files)
	switch {
	case errors.Is(err, azml.ErrNotFound):
		err = fmt.Errorf("%w: this workspace does not have the files of the build context: read its folder by FromBuildContext", azml.ErrInvalid)
	case err == nil && image.ContextHash(m) != from.Hash:
		err = fmt.Errorf("%w: the hash of the build context is not that of its files", azml.ErrInvalid)
	case err == nil && !image.HasFile(m.Files, from.Dockerfile):
		err = fmt.Errorf("%w: the build context has no file %q", azml.ErrInvalid, from.Dockerfile)
	}
	return env, err
}
