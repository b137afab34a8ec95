// Package image makes container images of environments, on whatever target makes
// images.
package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/pyenv"
	"github.com/azml-go/azml/internal/record"
)

// Build gives the image of an environment, made unless it is there. An environment
// without a base of its own begins with the target's. In the image "python3" is
// the environment's Python: whoever runs something there needs the image's
// variables, and has nothing else to prepare. Errors: ErrInvalid when there is no
// base or no such package, *pyenv.BuildError with the tool's last lines, and those
// of the target. A build context is read from store.
func Build(ctx context.Context, on backend.Images, env record.Environment, store *files.Store, log io.Writer) (made backend.Image, err error) {
	recipe := begin(env, on.DefaultImage())
	recipe.Context = contextOf(env, store)
	err = pyenv.InImage(ctx, pyenv.Spec(env.Python), log, func(setup pyenv.Setup, log io.Writer) (err error) {
		recipe.Setup, recipe.Input, recipe.Env, recipe.Path = setup.Script, setup.Input, setup.Env, setup.Path
		made, err = on.BuildImage(ctx, recipe, log)
		return err
	})
	return made, err
}

// Find gives the image of an environment when it is there. Errors: ErrNotFound.
func Find(ctx context.Context, on backend.Images, env record.Environment) (backend.Image, error) {
	hash := Hash(on, env)
	for image, err := range on.Images(ctx) {
		if err != nil || image.Hash == hash {
			return image, err
		}
	}
	return backend.Image{}, azml.ErrNotFound
}

// Hash is that of the image of an environment.
func Hash(on backend.Images, env record.Environment) string {
	return begin(env, on.DefaultImage()).Hash
}

// begin gives what the image begins with, and its hash: that of the environment
// and of what it begins with.
func begin(env record.Environment, base string) backend.ImageRecipe {
	r := backend.ImageRecipe{Base: env.Docker.BaseImage, Dockerfile: env.Docker.BaseDockerfile}
	if r.Base == "" && r.Dockerfile == "" && env.Docker.BuildContext == nil {
		r.Base = base
	}
	// A build context is part of the environment's hash.
	sum := sha256.Sum256([]byte(strings.Join([]string{"azml.image/1", env.Hash, r.Base, r.Dockerfile}, "\n")))
	r.Hash = hex.EncodeToString(sum[:])
	return r
}
