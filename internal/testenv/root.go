package testenv

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// certificates are the authorities that this machine trusts, which may be more
// than Debian's: package indexes are reached through a proxy with its own, say.
const certificates = "/etc/ssl/certs/ca-certificates.crt"

// pythonRoot gives a file, .tar.gz, with all files of [DockerImage], made of packages.
func pythonRoot(ctx context.Context) (string, error) { return debianRoot(ctx, "python-root-1", false) }

// unneeded is what nobody reads in an image: packages and what is said of them, tests of
// PyTorch, and what draws in windows, which are a third of what its packages bring.
const unneeded = `var/cache/apt var/lib/apt/lists usr/share/doc usr/share/man usr/share/locale usr/share/icons
usr/lib/libtorch-test usr/lib/x86_64-linux-gnu/dri usr/lib/x86_64-linux-gnu/libLLVM* usr/lib/x86_64-linux-gnu/mfx`

// debianRoot gives a file, .tar.gz, with all files of a Debian with Python, venv, pip,
// and more packages.
func debianRoot(ctx context.Context, called string, again bool, packages ...string) (string, error) {
	if os.Geteuid() != 0 {
		return "", errors.New("only root can install packages into a folder")
	}
	c, err := openCache()
	if err != nil {
		return "", err
	}
	dir, err := c.installed(ctx, called, again, func(dir string) error {
		root := filepath.Join(dir, "root")
		defer os.RemoveAll(root)
		include := append([]string{"python3", "python3-venv", "python3-pip", "ca-certificates"}, packages...)
		_, err := output(ctx, "debootstrap", "--variant=minbase", "--include="+strings.Join(include, ","), "bookworm", root)
		if err != nil {
			return err
		}
		trusted, err := os.ReadFile(certificates)
		if err == nil {
			err = os.WriteFile(filepath.Join(root, certificates), trusted, 0o644)
		}
		if err != nil {
			return err
		}
		_, err = output(ctx, "sh", "-c", `tar -C "$1" $(set -f; for f in $2; do echo --exclude=./$f; done) -c . | gzip -1 > "$1.tar.gz"`, "sh", root, unneeded)
		return err
	})
	return filepath.Join(dir, "root.tar.gz"), err
}

func findDebootstrap(context.Context) (string, error) { return exec.LookPath("debootstrap") }
