package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/moby/moby/client"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

const (
	// hashLabel is the label of images that were made of recipes.
	hashLabel = "azml.hash"
	// imageRepository is the repository of their tags.
	imageRepository = "azml/environment"
	lockPoll        = 50 * time.Millisecond
)

// imageHash is what hashes of recipes look like.
var imageHash = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]{1,100}$`) })

func imageName(hash string) string { return imageRepository + ":" + hash }

// SharedFolder implements backend.Images.
func (d *Driver) SharedFolder() string { return sharedFolder }

// DefaultImage implements backend.Images.
func (d *Driver) DefaultImage() string { return d.opts.Image }

// BuildImage implements backend.Images. The image is made by a job in a container
// of the base, whose result is committed, so no builder is needed but for
// Dockerfiles. Errors: also ErrUnavailable, ErrDenied.
func (d *Driver) BuildImage(ctx context.Context, recipe backend.ImageRecipe, log io.Writer) (backend.Image, error) {
	if err := errors.Join(checkRecipe(recipe), d.needLocal()); err != nil {
		return backend.Image{}, err
	}
	if there, err := d.built(ctx, recipe.Hash); !errors.Is(err, azml.ErrNotFound) {
		return there, err
	}
	unlock, err := d.lockImage(ctx, recipe.Hash, log)
	if err != nil {
		return backend.Image{}, err
	}
	defer unlock()
	if there, err := d.built(ctx, recipe.Hash); !errors.Is(err, azml.ErrNotFound) {
		return there, err
	}
	if err := d.assemble(ctx, recipe, log); err != nil {
		return backend.Image{}, err
	}
	made, err := d.built(ctx, recipe.Hash)
	made.Reused = false
	return made, err
}

func checkRecipe(recipe backend.ImageRecipe) error {
	switch {
	case !imageHash().MatchString(recipe.Hash):
		return fmt.Errorf("%w: %q is no hash of an image", azml.ErrInvalid, recipe.Hash)
	case recipe.Base == "" && recipe.Dockerfile == "" && recipe.Context == nil:
		return fmt.Errorf("%w: an image needs a base image or a Dockerfile: name one for the environment, or for the target", azml.ErrInvalid)
	case (recipe.Base != "" || recipe.Context != nil) && recipe.Dockerfile != "", recipe.Base != "" && recipe.Context != nil:
		return fmt.Errorf("%w: an image begins with one of a base image, a Dockerfile and a build context", azml.ErrInvalid)
	}
	return nil
}

// built describes the image of a hash, and notes that it is used.
func (d *Driver) built(ctx context.Context, hash string) (backend.Image, error) {
	r, err := d.client.ImageInspect(ctx, imageName(hash))
	if err != nil {
		return backend.Image{}, classify(ctx, err)
	}
	now := time.Now()
	file := d.imageFile(hash)
	if os.Chtimes(file, now, now) != nil {
		err = errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600))
	}
	if err != nil {
		return backend.Image{}, noFile(err)
	}
	return d.describe(hash, r), nil
}

// imageFile is a file whose time says when the image was used last, and which is
// locked while the image is made.
func (d *Driver) imageFile(hash string) string { return filepath.Join(d.opts.Dir, "images", hash) }

// defaultPath is the PATH of an image that sets none, by the engine.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func (d *Driver) describe(hash string, r client.ImageInspectResult) backend.Image {
	i := backend.Image{Name: imageName(hash), Hash: hash, Env: map[string]string{"PATH": defaultPath}, Reused: true, Size: r.Size}
	i.Created, _ = time.Parse(time.RFC3339Nano, r.Created)
	if r.Metadata.LastTagTime.After(i.Created) { // a base that is used as it is may be old
		i.Created = r.Metadata.LastTagTime
	}
	i.LastUsed = i.Created
	if info, err := os.Stat(d.imageFile(hash)); err == nil {
		i.LastUsed = info.ModTime()
	}
	if r.Config != nil {
		for _, pair := range r.Config.Env {
			name, value, _ := strings.Cut(pair, "=")
			i.Env[name] = value
		}
	}
	return i
}

// lockImage waits until nobody else on this machine makes the image. The lock ends
// with its process.
func (d *Driver) lockImage(ctx context.Context, hash string, log io.Writer) (unlock func(), err error) {
	file := d.imageFile(hash) + ".lock"
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, noFile(err)
	}
	lock := flock.New(file)
	locked, err := lock.TryLock()
	if err == nil && !locked {
		fmt.Fprintf(log, "waiting for another build of the image %s\n", imageName(hash))
		_, err = lock.TryLockContext(ctx, lockPoll)
	}
	if err != nil {
		_ = lock.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, noFile(err)
	}
	return func() { _ = lock.Close() }, nil
}

// Images implements backend.Images. It is one request, and one for each image.
func (d *Driver) Images(ctx context.Context) iter.Seq2[backend.Image, error] {
	return func(yield func(backend.Image, error) bool) {
		list, err := d.client.ImageList(ctx, client.ImageListOptions{Filters: client.Filters{}.Add("reference", imageRepository)})
		if err != nil {
			yield(backend.Image{}, classify(ctx, err))
			return
		}
		hashes := map[string]bool{}
		for _, image := range list.Items {
			for _, tag := range image.RepoTags {
				if hash, ok := strings.CutPrefix(tag, imageRepository+":"); ok && imageHash().MatchString(hash) {
					hashes[hash] = true
				}
			}
		}
		for _, hash := range slices.Sorted(maps.Keys(hashes)) {
			r, err := d.client.ImageInspect(ctx, imageName(hash))
			if err = classify(ctx, err); errors.Is(err, azml.ErrNotFound) {
				continue // removed meanwhile
			}
			if err != nil {
				yield(backend.Image{}, err)
				return
			}
			if !yield(d.describe(hash, r), nil) {
				return
			}
		}
	}
}

// RemoveImage implements backend.Images. Layers that other images have stay.
func (d *Driver) RemoveImage(ctx context.Context, hash string) error {
	if !imageHash().MatchString(hash) {
		return fmt.Errorf("%w: %q is no hash of an image", azml.ErrInvalid, hash)
	}
	unlock, err := d.lockImage(ctx, hash, io.Discard)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := d.client.ImageRemove(ctx, imageName(hash), client.ImageRemoveOptions{PruneChildren: true}); err != nil {
		return classify(ctx, err)
	}
	if err := os.Remove(d.imageFile(hash)); err != nil && !os.IsNotExist(err) {
		return noFile(err)
	}
	return nil
}

// image describes an image, which is pulled when the engine lacks it.
func (d *Driver) image(ctx context.Context, name string) (client.ImageInspectResult, error) {
	info, err := d.client.ImageInspect(ctx, name)
	if err = classify(ctx, err); !errors.Is(err, azml.ErrNotFound) {
		return info, err
	}
	auth, err := d.login(name)
	if err != nil {
		return info, err
	}
	pull, err := d.client.ImagePull(ctx, name, client.ImagePullOptions{RegistryAuth: auth})
	if err == nil {
		err = pull.Wait(ctx)
	}
	if err != nil && ctx.Err() == nil && denied(err) {
		return info, fmt.Errorf("%w: image %s is not on the engine, and its registry refuses the login that the target has for it, or wants one: %w", azml.ErrDenied, name, err)
	}
	if err != nil {
		return info, fmt.Errorf("image %s is not on the engine, and can't be pulled: %w", name, classify(ctx, err))
	}
	info, err = d.client.ImageInspect(ctx, name)
	return info, classify(ctx, err)
}
