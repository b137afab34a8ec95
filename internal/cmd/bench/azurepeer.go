package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// dvcPackages are those of DVC with its remote in Azure.
var dvcPackages = []string{"dvc[azure]==3.67.1"}

// dvc is a folder whose files DVC keeps in the container.
type dvc struct {
	cloud  *cloud
	python string
	src    *source
	dir    string // of the last repository
	n      int
}

func (c *cloud) newDVC(ctx context.Context, src *source) (*dvc, error) {
	python, err := c.bench.venv(ctx, peerDVC, dvcPackages)
	return &dvc{cloud: c, python: python, src: src}, err
}

// push makes a repository with the files added, which takes no time here, and
// pushes them to a remote of its own.
func (d *dvc) push(ctx context.Context) (sample, error) {
	d.n++
	dir, err := d.cloud.bench.sub("dvc")
	if err != nil {
		return sample{}, err
	}
	d.dir = dir
	if err := os.CopyFS(filepath.Join(dir, "data"), os.DirFS(d.src.dir)); err != nil {
		return sample{}, err
	}
	for _, args := range [][]string{{"init", "--no-scm", "--quiet"}, {"config", "core.analytics", "false"}, {"remote", "add", "-d", "r", fmt.Sprintf("azure://%s/dvc/%d", d.cloud.name, d.n)}, {"add", "--quiet", "data"}} {
		if err := d.run(ctx, args...); err != nil {
			return sample{}, err
		}
	}
	return d.timed(ctx, "push", "--quiet")
}

// pull gets the files back into the repository, from which they were removed.
func (d *dvc) pull(ctx context.Context) (sample, error) {
	away, err := d.cloud.bench.sub("away") // removed with all else: see carrier.down
	if err != nil {
		return sample{}, err
	}
	for name, gone := range map[string]string{"data": "data", "cache": filepath.Join(".dvc", "cache")} {
		if err := os.Rename(filepath.Join(d.dir, gone), filepath.Join(away, name)); err != nil {
			return sample{}, err
		}
	}
	return d.timed(ctx, "pull", "--quiet")
}

func (d *dvc) timed(ctx context.Context, args ...string) (sample, error) {
	begun := time.Now()
	err := d.run(ctx, args...)
	return sample{value: time.Since(begun).Seconds()}, err
}

func (d *dvc) run(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, d.python, append([]string{"-m", "dvc"}, args...)...)
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), "AZURE_STORAGE_CONNECTION_STRING="+d.cloud.connection, "DVC_NO_ANALYTICS=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("dvc %s: %w: %s", args[0], err, out)
	}
	return nil
}
