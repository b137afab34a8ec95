package docker

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"github.com/moby/moby/api/types/build"
	"github.com/moby/moby/client"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/internal/jobset"
)

// assemble makes the image of a recipe. The image's lock is held.
func (d *Driver) assemble(ctx context.Context, recipe backend.ImageRecipe, log io.Writer) error {
	base, name := recipe.Base, imageName(recipe.Hash)
	if recipe.Base == "" {
		base = name + "-base"
		if recipe.Setup == "" {
			base = name
		}
		if err := d.buildDockerfile(ctx, recipe, base, log); err != nil || recipe.Setup == "" {
			return err
		}
		// What the image is made of stays with it; its tag is not needed any more.
		defer func() {
			_, _ = d.client.ImageRemove(context.WithoutCancel(ctx), base, client.ImageRemoveOptions{})
		}()
	}
	info, err := d.image(ctx, base)
	if err != nil {
		return err
	}
	if recipe.Setup == "" {
		_, err := d.client.ImageTag(ctx, client.ImageTagOptions{Source: base, Target: name})
		return classify(ctx, err)
	}
	return d.setUp(ctx, recipe, base, info, log)
}

// builds gives a driver whose jobs make images: as root, with the network that
// packages come from, and apart from other jobs, also from those of whoever has
// another folder, whose locks are not ours.
func (d *Driver) builds() *Driver {
	o := d.opts
	sum := sha256.Sum256([]byte(o.Dir))
	o.Name, o.User, o.Network, o.Limits, o.Mounts = "azml.build-"+hex.EncodeToString(sum[:6]), "0", o.BuildNetwork, backend.Limits{}, nil
	return &Driver{client: d.client, opts: o}
}

// setUp runs the recipe's script in a container of the base and makes an image of
// what it leaves.
func (d *Driver) setUp(ctx context.Context, recipe backend.ImageRecipe, base string, info client.ImageInspectResult, log io.Writer) error {
	b, id := d.builds(), recipe.Hash
	if err := jobset.Forget(ctx, b, id); err != nil { // of a builder that was killed
		return err
	}
	defer func() { _ = jobset.Forget(context.WithoutCancel(ctx), b, id) }() // else it is done before the next attempt
	env := map[string]string{}
	maps.Copy(env, d.describe(recipe.Hash, info).Env)
	maps.Copy(env, recipe.Env)
	env["HOME"] = "/root"
	job := backend.Job{ID: id, Command: []string{shell, "-c", recipe.Setup}, Dir: "/", Env: env, Input: recipe.Input, Image: base}
	if err := b.Start(ctx, job); err != nil {
		return err
	}
	if err := jobset.CopyOutput(ctx, b, id, log); err != nil {
		return err
	}
	s, err := b.Wait(ctx, id)
	if err != nil {
		return err
	}
	if s.State != backend.JobExited || s.ExitCode != 0 {
		return fmt.Errorf("%w: the setup of image %s: %s", azml.ErrFailed, imageName(recipe.Hash), cmp.Or(s.Reason, fmt.Sprintf("exit code %d", s.ExitCode)))
	}
	path := strings.Join(append(recipe.Path, env["PATH"]), ":")
	changes := []string{`ENTRYPOINT ["` + envProgram + `"]`, `CMD ["/bin/sh"]`, "ENV PATH=" + quoted(path), "LABEL " + hashLabel + "=" + recipe.Hash, "USER 0"}
	if info.Config != nil && info.Config.User != "" {
		changes = append(changes, "USER "+info.Config.User)
	}
	_, err = d.client.ContainerCommit(ctx, b.container(id), client.ContainerCommitOptions{Reference: imageName(recipe.Hash), Changes: changes})
	return classify(ctx, err)
}

// contextOf gives the folder that the Dockerfile is in: of one that has none, itself.
func contextOf(recipe backend.ImageRecipe) *backend.BuildContext {
	if recipe.Context != nil {
		return recipe.Context
	}
	const name = "Dockerfile"
	return &backend.BuildContext{Dockerfile: name, Write: func(_ context.Context, out io.Writer) error {
		w := tar.NewWriter(out)
		err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o444, Size: int64(len(recipe.Dockerfile)), ModTime: time.Unix(0, 0)})
		if err == nil {
			_, err = io.WriteString(w, recipe.Dockerfile)
		}
		return errors.Join(err, w.Close())
	}}
}

// buildDockerfile has the engine's builder make an image. What it makes on the way
// is its cache.
func (d *Driver) buildDockerfile(ctx context.Context, recipe backend.ImageRecipe, tag string, log io.Writer) error {
	from := contextOf(recipe)
	files, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := from.Write(ctx, w)
		_ = w.CloseWithError(err) // nil is the end
		written <- err
	}()
	err := d.askBuilder(ctx, files, from.Dockerfile, recipe.Hash, tag, log)
	_ = files.Close() // the engine may not have read all
	if cause := <-written; cause != nil && !errors.Is(cause, io.ErrClosedPipe) {
		return cause // rather than what the engine made of a torn archive
	}
	return err
}

// askBuilder sends the builder an archive and gives on what it says.
func (d *Driver) askBuilder(ctx context.Context, files io.Reader, dockerfile, hash, tag string, log io.Writer) error {
	built, err := d.client.ImageBuild(ctx, files, client.ImageBuildOptions{Tags: []string{tag}, Dockerfile: dockerfile, NetworkMode: d.opts.BuildNetwork, Remove: true, ForceRemove: true,
		Version: build.BuilderV1, AuthConfigs: d.logins(), Labels: map[string]string{hashLabel: hash}})
	if err != nil {
		return classify(ctx, err)
	}
	defer built.Body.Close()
	for lines := json.NewDecoder(built.Body); ; {
		var line struct {
			Stream string `json:"stream"`
			Status string `json:"status"`
			Error  string `json:"error"`
		}
		switch err := lines.Decode(&line); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return classify(ctx, err)
		case line.Error != "":
			return fmt.Errorf("%w: the Dockerfile of image %s: %s", azml.ErrFailed, tag, line.Error)
		case line.Status != "":
			line.Stream = line.Status + "\n"
		}
		if _, err := io.WriteString(log, line.Stream); err != nil {
			return err
		}
	}
}
