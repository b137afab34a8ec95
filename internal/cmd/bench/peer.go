package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// The packages of the peers.
var (
	wandbPackages           = []string{"wandb==0.31.0"}
	aimPackages             = []string{"aim==3.29.1"}
	inferenceServerPackages = []string{"azureml-inference-server-http==1.5.1"}
)

// venv gives the interpreter of a virtual environment with the packages, which
// it makes in the user's cache folder unless it is there.
func (b *bench) venv(ctx context.Context, name string, packages []string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	base, err := findPython(ctx)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(base + "\n" + strings.Join(packages, "\n")))
	dir := filepath.Join(cache, "azml-bench", name+"-"+hex.EncodeToString(sum[:6]))
	python := filepath.Join(dir, "bin", "python")
	if runtime.GOOS == "windows" {
		python = filepath.Join(dir, "Scripts", "python.exe")
	}
	if _, err := os.Stat(dir + ".done"); err == nil {
		return python, nil
	}
	fmt.Fprintf(b.log, "installing %s\n", strings.Join(packages, " "))
	if err := command(ctx, base, "-m", "venv", "--clear", dir); err != nil {
		return "", err
	}
	args := append([]string{"-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"}, packages...)
	if err := command(ctx, python, args...); err != nil {
		return "", err
	}
	return python, os.WriteFile(dir+".done", nil, 0o600)
}

// command runs a program to its end; the error holds what it said.
func command(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(name), err, out)
	}
	return nil
}

// inferenceServerPython gives the interpreter that the tests use, if they
// named one, or one with the package installed.
func (b *bench) inferenceServerPython(ctx context.Context) (string, error) {
	if given := os.Getenv("AZML_TEST_INFERENCE_SERVER_PYTHON"); given != "" {
		return given, nil
	}
	return b.venv(ctx, peerInferenceServer, inferenceServerPackages)
}

// restic is a repository of restic's with one snapshot.
type restic struct {
	bench *bench
	src   *source
	repo  string
}

// newRestic finds restic, or installs it, and takes the first snapshot.
func (b *bench) newRestic(ctx context.Context, src *source) (*restic, error) {
	if _, err := exec.LookPath("restic"); err != nil {
		fmt.Fprintln(b.log, "installing restic")
		if err := command(ctx, "apt-get", "-q", "-y", "install", "--no-install-recommends", "restic"); err != nil {
			return nil, errors.Join(err, errors.New("install restic"))
		}
	}
	r := &restic{bench: b, src: src}
	_, err := r.cold(ctx)
	return r, err
}

// cold takes a snapshot into a new repository, which is used from then on.
func (r *restic) cold(ctx context.Context) (sample, error) {
	if err := os.RemoveAll(r.repo); err != nil { // the last one
		return sample{}, err
	}
	var err error
	if r.repo, err = r.bench.sub("restic"); err != nil {
		return sample{}, err
	}
	if _, err := r.run(ctx, "init"); err != nil {
		return sample{}, err
	}
	return r.unchanged(ctx)
}

// unchanged takes one more snapshot.
func (r *restic) unchanged(ctx context.Context) (sample, error) {
	return r.run(ctx, "backup", r.src.dir)
}

func (r *restic) run(ctx context.Context, args ...string) (sample, error) {
	args = append([]string{"--quiet", "--repo", filepath.Join(r.repo, "repo"), "--cache-dir", filepath.Join(r.repo, "cache")}, args...)
	cmd := exec.CommandContext(ctx, "restic", args...)
	cmd.Env = append(os.Environ(), "RESTIC_PASSWORD=bench")
	begun := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return sample{}, fmt.Errorf("restic: %w: %s", err, out)
	}
	took := time.Since(begun)
	return sample{took.Seconds(), (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()}, nil
}
