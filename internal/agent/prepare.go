package agent

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/pyenv"
	"github.com/azml-go/azml/internal/record"
)

// pythonEnv is the environment of a run on this machine.
type pythonEnv struct {
	*pyenv.Env
	variables map[string]string
}

// EnvironmentsDir gives the folder where this machine keeps environments. It
// is shared by all workspaces: an environment is known by its content.
func EnvironmentsDir(h core.Handle) string { return h.CacheDir() }

// codeDir is where the snapshot is restored: the script's working folder.
func (d *drive) codeDir() string { return filepath.Join(d.dir, "code") }

// prepareAll builds the environment, which may take long, while it restores the snapshot,
// and gets the data.
func (d *drive) prepareAll(ctx context.Context) error {
	both, within := errgroup.WithContext(ctx)
	both.Go(func() error { return d.buildEnvironment(within) })
	both.Go(func() error {
		if err := d.restore(within); err != nil {
			return d.systemError(fmt.Errorf("restore the snapshot: %w", err))
		}
		return nil
	})
	if err := both.Wait(); err != nil {
		return err
	}
	if err := d.bringBack(ctx); err != nil {
		return d.systemError(fmt.Errorf("restore outputs of the time before: %w", err))
	}
	return d.bindData(ctx)
}

func (d *drive) buildEnvironment(ctx context.Context) error {
	ref := d.run.Definition.Environment
	env, err := core.Get[record.Environment](ctx, d.h, "environments/"+ref.Name+"/"+ref.Version+".json")
	if err != nil {
		return d.systemError(fmt.Errorf("read environment %s:%s: %w", ref.Name, ref.Version, err))
	}
	spec := pyenv.Spec(env.Value.Python)
	if image := d.image(); image != "" {
		spec = pyenv.Spec{} // the image's own Python, which has all that was asked for
		fmt.Fprintf(d.prepare, "environment %s:%s: the image %s\n", ref.Name, ref.Version, image)
	}
	built, err := pyenv.Build(ctx, spec, &pyenv.BuildOptions{CacheDir: EnvironmentsDir(d.h), Log: d.prepare})
	if err != nil {
		f := d.systemError(fmt.Errorf("build environment %s:%s: %w", ref.Name, ref.Version, err))
		f.Code = userError
		return f
	}
	d.env = &pythonEnv{built, env.Value.Variables}
	return nil
}

// image gives the container image that this agent runs in, "" for none.
func (d *drive) image() string {
	if d.run.Agent == nil {
		return ""
	}
	return d.run.Agent.Image
}

// restore writes the snapshot's files and makes the folders that a script may
// expect.
func (d *drive) restore(ctx context.Context) error {
	start := time.Now()
	if d.run.Snapshot != "" {
		manifest, err := d.manifest(ctx)
		if err != nil {
			return err
		}
		if err := d.h.Files().Restore(ctx, manifest, d.codeDir(), &files.RestoreOptions{Overwrite: true}); err != nil {
			return err
		}
		fmt.Fprintf(d.prepare, "snapshot %s: %d files restored in %s\n", d.run.Snapshot, len(manifest.Files), time.Since(start).Round(time.Millisecond))
	}
	for _, name := range []string{"outputs", "logs"} {
		if err := os.MkdirAll(filepath.Join(d.codeDir(), name), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// manifest reads the snapshot's manifest, and where its files lie.
func (d *drive) manifest(ctx context.Context) (*files.Manifest, error) {
	var locating errgroup.Group
	locating.Go(func() error { return d.h.Files().Locate(ctx) })
	manifest, err := d.h.Files().Manifest(ctx, d.run.Snapshot)
	return manifest, cmp.Or(err, locating.Wait())
}
