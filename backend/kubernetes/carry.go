package kubernetes

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// carrying is an image that has the program in it, so that nothing has to be brought;
// zero for none.
type carrying struct {
	image string
	own   program
}

// carriedFolder is where such an image has the program.
const carriedFolder = "/.azml"

// carriedPrefix begins the tags of such images, which are no hashes of recipes.
const carriedPrefix = "with-"

// carries tells whether the image of a Job does.
func carries(m *batchv1.Job) bool {
	return m.Spec.Template.Spec.Containers[0].Image != m.Annotations[imageAnnotation]
}

// to has a container be of the image, and, when it is the only one of its job, begin
// at once.
func (c carrying) to(container *corev1.Container, nodes int) {
	if c.image == "" {
		return
	}
	container.Image = c.image
	names := append([]string{c.own.name}, c.own.also...)
	if nodes <= 1 {
		names = append(names, runnerName)
	}
	script := "mkdir -p " + binFolder + "\n"
	for _, called := range names {
		name := path.Join(binFolder, called)
		script += "[ -e " + name + " ] || ln -s " + path.Join(carriedFolder, c.own.name) + " " + name + " 2>/dev/null\n" // who has the command begin may be first
	}
	container.Command = []string{shell, "-c", script + awaitProgram}
}

// withProgram gives the image that is the given one and the program, in the target's
// registry, where it is made once for each of both. There is none for an image of
// another registry, whose layers would have to be copied, nor where this machine can't
// make it, which is told once for each image: then the program is brought to each pod.
func (d *Driver) withProgram(ctx context.Context, image string, own program) (carrying, error) {
	base, err := name.ParseReference(image)
	if err != nil || d.target.Registry == "" {
		return carrying{}, nil //nolint:nilerr // the cluster says what is wrong with it
	}
	repository, err := name.NewRepository(d.target.Registry)
	if err != nil || base.Context().Registry != repository.Registry {
		return carrying{}, nil //nolint:nilerr // as above
	}
	found, err := remote.Head(base, d.options(ctx)...)
	if answer, ok := errors.AsType[*transport.Error](err); ok && answer.StatusCode == http.StatusNotFound {
		return carrying{}, nil // as above
	}
	if err == nil {
		to := repository.Tag(carriedTag(found.Digest, own))
		if _, err = remote.Head(to, d.options(ctx)...); err != nil {
			err = d.carry(ctx, image, to, own)
		}
		if err == nil {
			return carrying{to.Name(), own}, nil
		}
	}
	if ctx.Err() != nil {
		return carrying{}, ctx.Err()
	}
	if _, told := d.uncarried.LoadOrStore(image, true); !told {
		d.opts.Logger.Warn("the registry gives no image that has azml in it: it is brought into each pod, which takes longer", "image", image, "registry", d.target.Registry, "error", err)
	}
	return carrying{}, nil
}

// carriedTag is the tag of what is an image and a program.
func carriedTag(base v1.Hash, own program) string {
	const enough = 16 // digits
	return fmt.Sprintf("%s-%.*s", carriedOf(base), enough, own.digest)
}

// carriedOf begins the tags of what is an image and any program.
func carriedOf(base v1.Hash) string {
	const enough = 32 // digits
	return fmt.Sprintf("%s%.*s", carriedPrefix, enough, base.Hex)
}

// carry makes the image that is another one and a program.
func (d *Driver) carry(ctx context.Context, image string, to name.Tag, own program) error {
	base, err := d.pull(ctx, image)
	if err != nil {
		return err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return packedLayer(own), nil })
	if err != nil {
		return err
	}
	made, err := mutate.Append(base, mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: "azml", Comment: own.name}})
	if err != nil {
		return err
	}
	return remote.Write(to, made, d.options(ctx)...)
}

// packedLayer is a layer with the program, the same for whoever makes it.
func packedLayer(own program) io.ReadCloser {
	out, in := io.Pipe()
	go func() { _ = in.CloseWithError(writeLayer(in, own)) }()
	return out
}

func writeLayer(to io.Writer, own program) error {
	f, err := os.Open(own.file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	w, in := tar.NewWriter(to), strings.TrimPrefix(carriedFolder, "/")
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: in + "/", Mode: 0o755}); err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: path.Join(in, own.name), Mode: 0o755, Size: info.Size()}); err != nil {
		return err
	}
	if _, err := io.Copy(w, f); err != nil {
		return err
	}
	return w.Close()
}

// removeCarrying removes what is an image and a program from the registry.
func (d *Driver) removeCarrying(ctx context.Context, repository name.Repository, base v1.Hash) error {
	tags, err := remote.List(repository, d.options(ctx)...)
	for _, tag := range tags {
		if err == nil && strings.HasPrefix(tag, carriedOf(base)+"-") {
			var found *v1.Descriptor
			if found, err = remote.Head(repository.Tag(tag), d.options(ctx)...); err == nil {
				err = remote.Delete(repository.Digest(found.Digest.String()), d.options(ctx)...)
			}
		}
	}
	return err
}
