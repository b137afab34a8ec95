package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	corev1 "k8s.io/api/core/v1"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/internal/jobset"
	"github.com/azml-go/azml/backend/ssh/jobs"
)

// assemble makes the image of a recipe. Errors: also ErrExists while somebody else
// makes it.
func (d *Driver) assemble(ctx context.Context, recipe backend.ImageRecipe, log io.Writer) error {
	base, err := d.pull(ctx, recipe.Base)
	if err != nil {
		return err
	}
	set, err := describe(recipe.Base, recipe.Hash, base)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp("", "azml-layer-*.tar.gz")
	if err != nil {
		return noFile(err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if err := d.setUp(ctx, recipe, set.Env, file, log); err != nil {
		return err
	}
	image, err := put(base, file.Name(), recipe, set.Env["PATH"])
	if err != nil {
		return fmt.Errorf("%w: image %s: %w", azml.ErrUnavailable, d.tag(recipe.Hash), err)
	}
	to, err := name.NewTag(d.tag(recipe.Hash))
	if err != nil {
		return fmt.Errorf("%w: image %q: %w", azml.ErrInvalid, d.tag(recipe.Hash), err)
	}
	return registryError(ctx, to.Name(), remote.Write(to, image, d.options(ctx)...))
}

// put puts a layer on the base.
func put(base v1.Image, file string, recipe backend.ImageRecipe, searched string) (v1.Image, error) {
	layer, err := tarball.LayerFromFile(file)
	if err != nil {
		return nil, err
	}
	now := v1.Time{Time: time.Now().UTC()}
	image, err := mutate.Append(base, mutate.Addendum{Layer: layer, History: v1.History{Created: now, CreatedBy: "azml", Comment: "environment " + recipe.Hash}})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Created = now
	env := []string{"PATH=" + strings.Join(append(recipe.Path[:len(recipe.Path):len(recipe.Path)], searched), ":")}
	for _, pair := range config.Config.Env {
		if !strings.HasPrefix(pair, "PATH=") {
			env = append(env, pair)
		}
	}
	config.Config.Env = env
	if config.Config.Labels == nil {
		config.Config.Labels = map[string]string{}
	}
	config.Config.Labels[hashLabel] = recipe.Hash
	return mutate.ConfigFile(image, config)
}

// builds gives a driver whose jobs make images: as root, with the rights that root
// usually has in a container, and apart from other jobs, but the same for all who
// push to one registry.
func (d *Driver) builds() *Driver {
	b := *d
	b.opts.Name = "build " + d.target.Registry
	b.target.User, b.target.Limits, b.target.Requests = "0", backend.Limits{}, nil
	b.opts.Pod = func(t *corev1.PodTemplateSpec) {
		t.Spec.Containers[0].SecurityContext.Capabilities = nil
		if d.opts.Pod != nil {
			d.opts.Pod(t)
		}
	}
	return &b
}

// BuildStatus implements backend.ImageBuilds. It costs what Status does.
func (d *Driver) BuildStatus(ctx context.Context, hash string) (backend.JobStatus, error) {
	return d.builds().Status(ctx, hash)
}

// setUp runs the recipe's script in a pod of the base and writes what it has changed
// to file.
func (d *Driver) setUp(ctx context.Context, recipe backend.ImageRecipe, set map[string]string, file *os.File, log io.Writer) error {
	on, err := d.Platform(ctx)
	if err != nil {
		return err
	}
	b, id := d.builds(), recipe.Hash
	programs, err := b.programs(ctx, backend.Job{}, on)
	if err != nil {
		return err
	}
	env := maps.Clone(set)
	maps.Copy(env, recipe.Env)
	env["HOME"] = "/root"
	own := path.Join(binFolder, programs[len(programs)-1].name)
	job := backend.Job{ID: id, Command: []string{own, "jobs", "layer", socketFile, recipe.Setup}, Dir: "/", Env: env, Input: recipe.Input, Image: recipe.Base}
	if err := b.Start(ctx, job); err != nil {
		return err
	}
	defer func() { _ = jobset.Forget(context.WithoutCancel(ctx), b, id) }() // else another attempt does it
	l, _, err := b.Listen(ctx, id)                                          // not sooner: the layer is for who has started its job
	if err != nil {
		return err
	}
	defer l.Close()
	taken := make(chan error, 1)
	go func() { taken <- take(l, file) }()
	if err := jobset.CopyOutput(ctx, b, id, log); err != nil {
		return err
	}
	s, err := b.Wait(ctx, id)
	if err != nil {
		return err
	}
	if s.State != backend.JobExited || s.ExitCode != 0 {
		return fmt.Errorf("%w: the setup of image %s: %s", azml.ErrFailed, d.tag(recipe.Hash), cmp.Or(s.Reason, fmt.Sprintf("exit code %d", s.ExitCode)))
	}
	return <-taken
}

// take takes a layer, and says so.
func take(l net.Listener, file *os.File) error {
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = io.Copy(file, conn)
	if err == nil {
		_, err = conn.Write([]byte{1})
	}
	if err != nil {
		return fmt.Errorf("%w: a layer on its way: %w", jobs.ErrLost, err)
	}
	return nil
}

// awaitBuild waits for the build of somebody else, and takes away one that nobody
// has taken away.
func (d *Driver) awaitBuild(ctx context.Context, hash string, log io.Writer) error {
	fmt.Fprintf(log, "waiting for another build of the image %s\n", d.tag(hash))
	b := d.builds()
	_, err := b.Wait(ctx, hash)
	if err == nil {
		const pause = 2 * time.Second // its builder takes it away
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		err = b.Remove(ctx, hash)
	}
	if errors.Is(err, azml.ErrNotFound) {
		return nil
	}
	return err
}
