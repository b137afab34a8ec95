package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// localDVC measures `dvc push` of the files to a remote that is a folder. What comes
// before, the copy into a repository and `dvc add`, which reads all of it, takes no
// time here.
func (b *bench) localDVC(ctx context.Context, source string) (side, error) {
	python, err := b.venv(ctx, peerDVC, dvcPackages)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (sample, error) {
		dir, err := b.sub("dvc")
		if err != nil {
			return sample{}, err
		}
		defer os.RemoveAll(dir)
		repo := filepath.Join(dir, "repo")
		if err := os.CopyFS(filepath.Join(repo, "data"), os.DirFS(source)); err != nil {
			return sample{}, err
		}
		run := func(args ...string) (*os.ProcessState, error) {
			cmd := exec.CommandContext(ctx, python, append([]string{"-m", "dvc"}, args...)...)
			cmd.Dir, cmd.Env = repo, append(os.Environ(), "DVC_NO_ANALYTICS=1")
			if out, err := cmd.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("dvc %s: %w: %s", args[0], err, out)
			}
			return cmd.ProcessState, nil
		}
		for _, args := range [][]string{{"init", "--no-scm", "--quiet"}, {"remote", "add", "-d", "r", filepath.Join(dir, "remote")}, {"add", "--quiet", "data"}} {
			if _, err := run(args...); err != nil {
				return sample{}, err
			}
		}
		begun := time.Now()
		p, err := run("push", "--quiet")
		if err != nil {
			return sample{}, err
		}
		return sample{time.Since(begun).Seconds(), (p.UserTime() + p.SystemTime()).Seconds()}, nil
	}, nil
}
