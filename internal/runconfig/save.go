package runconfig

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"reflect"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/atomicfile"
)

const (
	condaName       = "conda_dependencies.yml"
	environmentName = "environment.yml"
)

// Save writes the configuration as .azureml/<name> below the project folder
// path (aml_config/<name> when that folder exists), making the folder where
// needed, and the conda environment beside it as conda_dependencies.yml. With
// separateEnvironment the environment goes to environment.yml in that folder.
// All configurations of a folder share these two files, as in the SDK. Each
// file is replaced in one step. Nothing is validated. Errors: ErrInvalid for
// the name, or for an environment that is a path, ErrDenied, ErrUnavailable.
func (c *RunConfig) Save(path, name string, separateEnvironment bool) error {
	if err := checkName(name); err != nil {
		return err
	}
	if name == condaName || name == environmentName {
		return fmt.Errorf("%w: %q is the name of another file of the folder", azml.ErrInvalid, name)
	}
	if c.Environment.File != "" {
		return fmt.Errorf("%w: environment %s was not read: Load the configuration instead of parsing it", azml.ErrInvalid, c.Environment.File)
	}
	if path == "" {
		path = "."
	}
	files, err := c.files(configFolder(path), name, separateEnvironment)
	if err != nil {
		return fmt.Errorf("%w: run configuration %q: %w", azml.ErrInvalid, name, err)
	}
	dir := filepath.Join(path, configFolder(path))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fileError(dir, err)
	}
	for _, f := range files {
		if err := replace(filepath.Join(dir, f.name), f.data); err != nil {
			return fileError(filepath.Join(dir, f.name), err)
		}
	}
	return nil
}

// file is one file to write.
type file struct {
	name string
	data []byte
}

// files gives the content of all files, the configuration last, so that what
// it names is there before it.
func (c *RunConfig) files(folder, name string, separateEnvironment bool) ([]file, error) {
	saved := *c
	var files []file
	if text := c.Environment.Python.CondaDependencies; text != "" {
		files = append(files, file{condaName, []byte(text)})
		saved.Environment.Python.CondaDependencies = ""
		saved.Environment.Python.CondaDependenciesFile = path.Join(folder, condaName)
	}
	config, err := encode(reflect.ValueOf(saved))
	if err != nil {
		return nil, err
	}
	environment := child(config, "environment")
	if c.Environment.Reference {
		keepOnly(environment, "name", "version")
	}
	// The SDK has no such key: it knows conda dependencies by file only.
	if python := child(environment, "python"); python != nil {
		drop(python, "condaDependencies")
	}
	if separateEnvironment {
		data, err := format(environment)
		if err != nil {
			return nil, err
		}
		files = append(files, file{environmentName, data})
		if err := environment.Encode(path.Join(folder, environmentName)); err != nil {
			return nil, err
		}
	}
	data, err := format(config)
	return append(files, file{name, data}), err
}

// replace writes a file that outlasts a loss of power.
func replace(name string, data []byte) error {
	return atomicfile.Create(name, 0o644, func(f *os.File) error {
		_, err := f.Write(data)
		return errors.Join(err, f.Sync())
	})
}

// Delete removes <name> and <name>.runconfig from the project's .azureml and
// aml_config folders; environment and conda files stay, as other
// configurations may use them. Errors: ErrNotFound when there was none,
// ErrInvalid for the name, ErrDenied.
func Delete(path, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	found := false
	for _, dir := range []string{folder, oldFolder} {
		for _, file := range []string{name, name + suffix} {
			full := filepath.Join(path, dir, file)
			err := os.Remove(full)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return fileError(full, err)
			}
			found = found || err == nil
		}
	}
	if !found {
		return fmt.Errorf("%w: run configuration %q in %s", azml.ErrNotFound, name, path)
	}
	return nil
}
