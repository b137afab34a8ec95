package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Git gives the path of git.
func Git(t testing.TB) string {
	t.Helper()
	return need(t, AbilityGit, func() (string, error) { return git(t.Context()) })
}

// Python gives the path of a Python of at least 3.9 that has the modules venv
// and pip.
func Python(t testing.TB) string {
	t.Helper()
	return need(t, AbilityPython, func() (string, error) { return python(t.Context()) })
}

func git(ctx context.Context) (string, error) {
	return program(ctx, findGit, "git")
}

func python(ctx context.Context) (string, error) {
	return program(ctx, findPython, "python3", "python3-venv", "python3-pip")
}

// program gives what find finds, at need after it has installed the packages.
func program(ctx context.Context, find func(context.Context) (string, error), packages ...string) (string, error) {
	path, err := find(ctx)
	if err == nil {
		return path, nil
	}
	if installErr := installPackages(ctx, packages); installErr != nil {
		return "", fmt.Errorf("%w; %w", err, installErr)
	}
	return find(ctx)
}

func findGit(ctx context.Context) (string, error) {
	path, err := exec.LookPath("git")
	if err != nil {
		return "", err
	}
	_, err = output(ctx, path, "--version")
	return path, err
}

// usablePython fails with a text for people when the interpreter won't do.
const usablePython = `import sys
if sys.version_info < (3, 9): sys.exit("Python %d.%d is older than 3.9" % sys.version_info[:2])
import venv, ensurepip, pip`

func findPython(ctx context.Context) (string, error) {
	var failures []error
	for _, name := range []string{"python3", "python"} {
		path, err := exec.LookPath(name)
		if err == nil {
			_, err = output(ctx, path, "-c", usablePython)
		}
		if err == nil {
			return path, nil
		}
		failures = append(failures, err)
	}
	return "", errors.Join(failures...)
}

// installPackages installs packages of the system, where this process may: as
// root on a system with apt-get.
func installPackages(ctx context.Context, packages []string) error {
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("install it (%s)", strings.Join(packages, ", "))
	}
	c, err := openCache()
	if err != nil {
		return err
	}
	unlock, err := c.lock(ctx, "apt")
	if err != nil {
		return err
	}
	defer unlock()
	if err := c.failed("apt"); err != nil {
		return err
	}
	_, err = output(ctx, apt, "-q", "update")
	if err == nil {
		args := []string{"-q", "-y", "-o", "DPkg::Lock::Timeout=300", "install", "--no-install-recommends"}
		_, err = output(ctx, apt, append(args, packages...)...)
	}
	if err != nil && ctx.Err() == nil {
		err = errors.Join(err, os.WriteFile(c.failure("apt"), []byte(err.Error()), 0o644))
	}
	return err
}

// output runs a command to its end and gives what it wrote to its standard
// output. The error holds what it wrote to its standard error.
func output(ctx context.Context, name string, args ...string) (string, error) {
	var out, errors strings.Builder
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdout, cmd.Stderr = &out, &errors
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, oneLine(errors.String()))
	}
	return out.String(), nil
}
