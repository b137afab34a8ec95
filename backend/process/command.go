//go:build linux || darwin

package process

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/internal/supervisor"
)

// maxInput is the seam's limit of a job's input.
const maxInput = 64 << 10

// newSpec checks the job and finds its command.
func newSpec(job backend.Job) (supervisor.Spec, error) {
	if err := errors.Join(backend.CheckNodes(job), refuse(job)); err != nil {
		return supervisor.Spec{}, err
	}
	if len(job.Command) == 0 || job.Command[0] == "" {
		return supervisor.Spec{}, fmt.Errorf("%w: job %q has no command", azml.ErrInvalid, job.ID)
	}
	for _, arg := range append([]string{job.Dir}, job.Command...) {
		if strings.ContainsRune(arg, 0) {
			return supervisor.Spec{}, fmt.Errorf("%w: job %q: the command or its folder holds a NUL character", azml.ErrInvalid, job.ID)
		}
	}
	if !filepath.IsAbs(job.Dir) {
		return supervisor.Spec{}, fmt.Errorf("%w: job %q: folder %q is not an absolute path", azml.ErrInvalid, job.ID, job.Dir)
	}
	if info, err := os.Stat(job.Dir); err != nil || !info.IsDir() {
		return supervisor.Spec{}, fmt.Errorf("%w: job %q: folder %s is not there", azml.ErrInvalid, job.ID, job.Dir)
	}
	env, err := environ(job)
	if err != nil {
		return supervisor.Spec{}, err
	}
	path, err := lookPath(job)
	return supervisor.Spec{Path: path, Args: job.Command, Dir: job.Dir, Env: env, Input: job.Input}, err
}

// refuse tells what a job asks for that a process does not have.
func refuse(job backend.Job) error {
	switch {
	case job.Image != "":
		return fmt.Errorf("%w: job %q asks for the image %q: this machine's processes run in no container, use a target that runs containers",
			azml.ErrUnsupported, job.ID, job.Image)
	case job.Limits != backend.Limits{}:
		return fmt.Errorf("%w: job %q asks for limits: this machine's processes have none, use a target that runs containers", azml.ErrUnsupported, job.ID)
	case len(job.Input) > maxInput:
		return fmt.Errorf("%w: job %q has %d bytes of input, more than %d", azml.ErrInvalid, job.ID, len(job.Input), maxInput)
	}
	return nil
}

// environ gives the environment, sorted. A bad value is not shown: it may be a
// secret.
func environ(job backend.Job) ([]string, error) {
	env := make([]string, 0, len(job.Env))
	for _, name := range slices.Sorted(maps.Keys(job.Env)) {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return nil, fmt.Errorf("%w: job %q: variable name %q is empty or holds \"=\" or NUL", azml.ErrInvalid, job.ID, name)
		}
		if strings.ContainsRune(job.Env[name], 0) {
			return nil, fmt.Errorf("%w: job %q: the value of variable %s holds a NUL character", azml.ErrInvalid, job.ID, name)
		}
		env = append(env, name+"="+job.Env[name])
	}
	return env, nil
}

// lookPath finds the program: a path is taken from the job's folder, a bare
// name is looked up in the job's own PATH.
func lookPath(job backend.Job) (string, error) {
	name, dirs := job.Command[0], []string{""}
	if !strings.Contains(name, "/") {
		dirs = filepath.SplitList(job.Env["PATH"])
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if !filepath.IsAbs(path) {
			path = filepath.Join(job.Dir, path)
		}
		info, err := os.Stat(path)
		if err == nil && info.Mode().IsRegular() && syscall.Access(path, accessExecute) == nil {
			return path, nil
		}
	}
	if !strings.Contains(name, "/") {
		return "", fmt.Errorf("%w: job %q: no program %q in PATH %q", azml.ErrInvalid, job.ID, name, job.Env["PATH"])
	}
	return "", fmt.Errorf("%w: job %q: %s is no program that can be run", azml.ErrInvalid, job.ID, name)
}

// accessExecute is X_OK of access(2).
const accessExecute = 1
