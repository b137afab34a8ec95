package pyenv

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// install makes an environment with all packages at dir, an empty folder.
func (b *builder) install(ctx context.Context, dir string) (marker, error) {
	var m marker
	var err error
	if len(b.spec.Conda) > 0 {
		m, err = b.createConda(ctx, dir)
	} else {
		m, err = b.createVenv(ctx, dir)
	}
	if err != nil {
		return marker{}, err
	}
	if len(b.spec.Pip) > 0 {
		err = b.installPip(ctx, dir, filepath.Join(dir, m.Python))
	}
	return m, err
}

func (b *builder) createVenv(ctx context.Context, dir string) (marker, error) {
	python, err := findPython(ctx, b.opts.Python, b.spec.PythonVersion, b.env)
	if err != nil {
		return marker{}, err
	}
	b.logf("making a virtual environment with Python %s (%s)", python.Version, python.Path)
	venv := command{phase: "venv", args: []string{python.Path, "-I", "-m", "venv", dir}, env: b.env}
	if err := venv.run(ctx, b.opts.Log, b.mask); err != nil {
		return marker{}, err
	}
	inside := filepath.Join("bin", "python")
	if runtime.GOOS == "windows" {
		inside = filepath.Join("Scripts", "python.exe")
	}
	return marker{Python: inside, Version: python.Version}, nil
}

// installPip installs all requirements at once, so that pip resolves them
// together. They are handed over in files that only this user can read: other
// users see the command line.
func (b *builder) installPip(ctx context.Context, dir, python string) error {
	requirements, constraints := dir+".requirements.txt", dir+".constraints.txt"
	defer os.Remove(requirements)
	defer os.Remove(constraints)
	args := []string{python, "-I", "-m", "pip", "install", "--disable-pip-version-check",
		"--no-input", "--no-color", "--progress-bar", "off", "--requirement", requirements}
	if err := writeLines(requirements, b.spec.PipOptions, b.spec.Pip); err != nil {
		return err
	}
	if len(b.spec.Constraints) > 0 {
		args = append(args, "--constraint", constraints)
		if err := writeLines(constraints, b.spec.Constraints); err != nil {
			return err
		}
	}
	pip := command{phase: "pip install", args: args, env: b.env, dir: filepath.Dir(dir)}
	return pip.run(ctx, b.opts.Log, b.mask)
}

func writeLines(path string, groups ...[]string) error {
	var text strings.Builder
	for _, lines := range groups {
		for _, line := range lines {
			text.WriteString(line + "\n")
		}
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		return azmlIO("write pip's requirements", err)
	}
	return nil
}
