package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

var (
	_ backend.Images      = (*Driver)(nil)
	_ backend.ImageBuilds = (*Driver)(nil)
)

// hashLabel is the label of images that were made of recipes.
const hashLabel = "azml.hash"

// imageHash is what hashes of recipes look like.
var imageHash = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]{1,100}$`) })

// DefaultImage implements backend.Images.
func (d *Driver) DefaultImage() string { return d.target.Image }

// SharedFolder implements backend.Images. It outlives a job where the target has a
// claim for it.
func (d *Driver) SharedFolder() string { return sharedFolder }

// BuildImage implements backend.Images. A recipe without a setup is its base as it
// is. Else a job of the cluster runs the setup in the base, and what it has changed
// becomes a layer on the base's, which is pushed to the target's registry: no daemon
// is needed, nor a pod with more than a container's usual rights. Errors: also
// ErrUnsupported for a Dockerfile, ErrUnavailable, ErrDenied.
func (d *Driver) BuildImage(ctx context.Context, recipe backend.ImageRecipe, log io.Writer) (backend.Image, error) {
	if err := d.checkRecipe(recipe); err != nil {
		return backend.Image{}, err
	}
	if recipe.Setup == "" {
		return d.asItIs(ctx, recipe)
	}
	for {
		there, err := d.built(ctx, recipe.Hash)
		if !errors.Is(err, azml.ErrNotFound) {
			return there, err
		}
		err = d.assemble(ctx, recipe, log)
		if errors.Is(err, azml.ErrExists) {
			err = d.awaitBuild(ctx, recipe.Hash, log)
			if err == nil {
				continue
			}
		}
		if err != nil {
			return backend.Image{}, err
		}
		made, err := d.built(ctx, recipe.Hash)
		made.Reused = false
		return made, err
	}
}

func (d *Driver) checkRecipe(recipe backend.ImageRecipe) error {
	switch {
	case !imageHash().MatchString(recipe.Hash):
		return fmt.Errorf("%w: %q is no hash of an image", azml.ErrInvalid, recipe.Hash)
	case recipe.Dockerfile != "" || recipe.Context != nil:
		return fmt.Errorf("%w: Kubernetes follows no Dockerfile: build its image elsewhere and name that as the base", azml.ErrUnsupported)
	case recipe.Base == "":
		return fmt.Errorf("%w: an image needs a base image: name one for the environment, or for the target", azml.ErrInvalid)
	case recipe.Setup != "" && d.target.Registry == "":
		return fmt.Errorf("%w: the target has no registry to push images of environments to: name one, or an image that has the environment", azml.ErrInvalid)
	}
	return nil
}

// asItIs describes a base that needs nothing more. What it sets is in its registry;
// one that this machine can't ask is taken to set nothing.
func (d *Driver) asItIs(ctx context.Context, recipe backend.ImageRecipe) (backend.Image, error) {
	i := backend.Image{Name: recipe.Base, Hash: recipe.Hash, Env: map[string]string{"PATH": defaultPath}, Reused: true}
	image, err := d.pull(ctx, recipe.Base)
	if err == nil {
		i, err = describe(recipe.Base, recipe.Hash, image)
	}
	if ctx.Err() != nil {
		return i, ctx.Err()
	}
	if errors.Is(err, azml.ErrInvalid) {
		return i, err
	}
	return i, nil
}

// tag gives the image of a hash.
func (d *Driver) tag(hash string) string { return d.target.Registry + ":" + hash }

// built describes the image of a hash, and notes that it is used.
func (d *Driver) built(ctx context.Context, hash string) (backend.Image, error) {
	image, err := d.pull(ctx, d.tag(hash))
	if err != nil {
		return backend.Image{}, err
	}
	file, now := d.imageFile(hash), time.Now()
	if os.Chtimes(file, now, now) != nil {
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600)); err != nil {
			return backend.Image{}, noFile(err)
		}
	}
	return d.described(hash, image)
}

// imageFile is a file whose time says when the image was used last.
func (d *Driver) imageFile(hash string) string { return filepath.Join(d.opts.CacheDir, "images", hash) }

// described is describe for an image of a recipe.
func (d *Driver) described(hash string, image v1.Image) (backend.Image, error) {
	i, err := describe(d.tag(hash), hash, image)
	i.LastUsed = i.Created
	if info, err := os.Stat(d.imageFile(hash)); err == nil {
		i.LastUsed = info.ModTime()
	}
	return i, err
}

// defaultPath is the PATH of an image that sets none.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func describe(called, hash string, image v1.Image) (backend.Image, error) {
	i := backend.Image{Name: called, Hash: hash, Env: map[string]string{"PATH": defaultPath}, Reused: true}
	config, err := image.ConfigFile()
	if err != nil {
		return i, fmt.Errorf("%w: image %s: %w", azml.ErrUnavailable, called, err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		return i, fmt.Errorf("%w: image %s: %w", azml.ErrUnavailable, called, err)
	}
	for _, layer := range manifest.Layers {
		i.Size += layer.Size
	}
	i.Created = config.Created.Time
	for _, pair := range config.Config.Env {
		key, value, _ := strings.Cut(pair, "=")
		i.Env[key] = value
	}
	return i, nil
}

// options are those of all requests to registries: whoever asks is logged in there as
// docker or podman is.
func (d *Driver) options(ctx context.Context) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithTransport(d.registries), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithUserAgent("azml")}
}

// pull asks a registry for an image, of which nothing large is read yet.
func (d *Driver) pull(ctx context.Context, image string) (v1.Image, error) {
	ref, err := name.ParseReference(image)
	if err != nil {
		return nil, fmt.Errorf("%w: image %q: %w", azml.ErrInvalid, image, err)
	}
	on, err := d.Platform(ctx)
	if err != nil {
		return nil, err
	}
	found, err := remote.Image(ref, append(d.options(ctx), remote.WithPlatform(v1.Platform{OS: on.OS, Architecture: on.Arch}))...)
	return found, registryError(ctx, image, err)
}

// registryError gives an error of a registry its class.
func registryError(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	class := azml.ErrUnavailable
	if answer, ok := errors.AsType[*transport.Error](err); ok {
		switch answer.StatusCode {
		case http.StatusNotFound:
			class = azml.ErrNotFound
		case http.StatusUnauthorized, http.StatusForbidden:
			class = azml.ErrDenied
		case http.StatusMethodNotAllowed:
			class = azml.ErrUnsupported
		}
	}
	return fmt.Errorf("%w: %s: %w", class, what, err)
}

// Images implements backend.Images. It is one request, and two for each image.
func (d *Driver) Images(ctx context.Context) iter.Seq2[backend.Image, error] {
	return func(yield func(backend.Image, error) bool) {
		hashes, err := d.hashes(ctx)
		if err != nil {
			yield(backend.Image{}, err)
			return
		}
		for _, hash := range hashes {
			image, err := d.pull(ctx, d.tag(hash))
			if errors.Is(err, azml.ErrNotFound) {
				continue // removed meanwhile
			}
			var i backend.Image
			if err == nil {
				i, err = d.described(hash, image)
			}
			if !yield(i, err) || err != nil {
				return
			}
		}
	}
}

// hashes are those that the registry has images of, sorted.
func (d *Driver) hashes(ctx context.Context) ([]string, error) {
	if d.target.Registry == "" {
		return nil, ctx.Err()
	}
	repository, err := name.NewRepository(d.target.Registry)
	if err != nil {
		return nil, fmt.Errorf("%w: registry %q: %w", azml.ErrInvalid, d.target.Registry, err)
	}
	tags, err := remote.List(repository, d.options(ctx)...)
	if err = registryError(ctx, d.target.Registry, err); errors.Is(err, azml.ErrNotFound) { // nothing was pushed yet
		return nil, nil
	}
	hashes := slices.DeleteFunc(tags, func(tag string) bool { return !imageHash().MatchString(tag) })
	slices.Sort(hashes)
	return hashes, err
}

// RemoveImage implements backend.Images. What other images have of it stays. Errors:
// also ErrUnsupported for a registry that deletes nothing.
func (d *Driver) RemoveImage(ctx context.Context, hash string) error {
	if !imageHash().MatchString(hash) {
		return fmt.Errorf("%w: %q is no hash of an image", azml.ErrInvalid, hash)
	}
	if d.target.Registry == "" {
		return fmt.Errorf("%w: image %s: the target has no registry", azml.ErrNotFound, hash)
	}
	jobs, err := d.views(ctx)
	if err != nil {
		return err
	}
	for _, v := range jobs {
		if !v.ended() && v.job.Annotations[imageAnnotation] == d.tag(hash) {
			return fmt.Errorf("%w: job %q has the image %s", azml.ErrConflict, v.id(), d.tag(hash))
		}
	}
	ref, err := name.NewTag(d.tag(hash))
	if err != nil {
		return fmt.Errorf("%w: image %q: %w", azml.ErrInvalid, d.tag(hash), err)
	}
	found, err := remote.Head(ref, d.options(ctx)...)
	if err == nil {
		err = d.removeCarrying(ctx, ref.Repository, found.Digest)
	}
	if err == nil {
		err = remote.Delete(ref.Digest(found.Digest.String()), d.options(ctx)...)
	}
	if err != nil {
		return registryError(ctx, ref.Name(), err)
	}
	if err := os.Remove(d.imageFile(hash)); err != nil && !os.IsNotExist(err) {
		return noFile(err)
	}
	return nil
}
