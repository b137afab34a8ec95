package runconfig

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/azml-go/azml"
)

// The project's folders for configurations; the older one wins when it exists,
// as in the SDK.
const (
	folder    = ".azureml"
	oldFolder = "aml_config"
	suffix    = ".runconfig"
)

// Parse reads a configuration from the content of a file; name stands for the
// file in messages. Paths to other files (Environment.File,
// Python.CondaDependenciesFile) are kept but not read. All wrong values are
// reported together, each with file, line, key and what is expected. Errors:
// ErrInvalid.
func Parse(data []byte, name string) (*RunConfig, error) {
	d := &decoder{file: name}
	c := New()
	n, err := d.document(data)
	if err != nil {
		return nil, err
	}
	if legacy(n) {
		return nil, fmt.Errorf("%w: %s: this is the format from before environments: "+
			"load and save it with the SDK, or write script, target and environment anew", azml.ErrInvalid, name)
	}
	d.value(n, "", reflect.ValueOf(c).Elem())
	if err := d.err(); err != nil {
		return nil, err
	}
	c.Warnings = d.warnings
	return c, nil
}

// Load reads the configuration of that name from the project folder path:
// .azureml/<name>, or aml_config/<name> when that folder exists, the same with
// the suffix .runconfig, and at last <path>/<name>.runconfig. When path is a
// file it is read and name is ignored. Environment and conda files are read
// too, relative to the project folder or else to the file's own, and have to
// lie in the project folder. Errors: ErrNotFound, ErrInvalid, ErrDenied.
func Load(path, name string) (*RunConfig, error) {
	project, file, err := find(path, name)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(project)
	if err != nil {
		return nil, fileError(project, err)
	}
	defer root.Close()
	data, err := readIn(root, file)
	if err != nil {
		return nil, err
	}
	c, err := Parse(data, file)
	if err != nil {
		return nil, err
	}
	return c, c.follow(root, filepath.Dir(file))
}

// find gives the project folder and the file in it.
func find(path, name string) (project, file string, err error) {
	if path == "" {
		path = "."
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", "", fileError(path, err)
	}
	if !info.IsDir() {
		project, file = filepath.Split(filepath.Clean(path))
		project = filepath.Clean(project)
		if base := filepath.Base(project); base == folder || base == oldFolder {
			return filepath.Dir(project), filepath.Join(base, file), nil
		}
		return project, file, nil
	}
	if err := checkName(name); err != nil {
		return "", "", err
	}
	inFolder := filepath.Join(configFolder(path), name)
	for _, file := range []string{inFolder, inFolder + suffix, name + suffix} {
		if info, err := os.Stat(filepath.Join(path, file)); err == nil && info.Mode().IsRegular() {
			return path, file, nil
		}
	}
	return "", "", fmt.Errorf("%w: run configuration %q: neither %s, nor that with %s, nor %s is in %s",
		azml.ErrNotFound, name, inFolder, suffix, name+suffix, path)
}

func configFolder(project string) string {
	if _, err := os.Stat(filepath.Join(project, oldFolder)); err == nil {
		return oldFolder
	}
	return folder
}

// checkName keeps a name inside its folder.
func checkName(name string) error {
	if name == "" || name == "." || strings.ContainsAny(name, "/\\\x00") || !filepath.IsLocal(name) {
		return fmt.Errorf("%w: %q is no name of a run configuration: give a plain file name", azml.ErrInvalid, name)
	}
	return nil
}

// follow reads the files that the configuration names.
func (c *RunConfig) follow(root *os.Root, dir string) error {
	env := &c.Environment
	if env.File != "" {
		if err := c.readEnvironment(root, dir, env.File); err != nil {
			return err
		}
	}
	if env.Python.CondaDependenciesFile == "" {
		return nil
	}
	data, _, err := readBeside(root, dir, env.Python.CondaDependenciesFile)
	if err != nil {
		return err
	}
	env.Python.CondaDependencies = CondaText(data)
	return nil
}

// readEnvironment reads an environment.yml, or a conda file in its place.
func (c *RunConfig) readEnvironment(root *os.Root, dir, file string) error {
	data, name, err := readBeside(root, dir, file)
	if err != nil {
		return err
	}
	d := &decoder{file: name}
	n, err := d.document(data)
	if err != nil {
		return err
	}
	env := fresh(reflect.TypeFor[Environment]())
	d.value(n, "", env)
	if err := d.err(); err != nil {
		return err
	}
	c.Environment = env.Interface().(Environment)
	if hasKey(n, "dependencies") && n.Kind == yaml.MappingNode {
		c.Environment.Python.CondaDependencies = CondaText(data)
	}
	c.Warnings = append(c.Warnings, d.warnings...)
	return nil
}

// readBeside reads a file named in a configuration, relative to the project
// or to the folder of the configuration.
func readBeside(root *os.Root, dir, name string) (data []byte, found string, err error) {
	name = filepath.FromSlash(cleanPath(name))
	data, err = readIn(root, name)
	if errors.Is(err, azml.ErrNotFound) && dir != "." {
		if beside, besideErr := readIn(root, filepath.Join(dir, name)); besideErr == nil {
			return beside, filepath.Join(dir, name), nil
		}
	}
	return data, name, err
}

func readIn(root *os.Root, name string) ([]byte, error) {
	if !filepath.IsLocal(name) {
		return nil, fmt.Errorf("%w: %s lies outside the project folder", azml.ErrInvalid, name)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, fileError(name, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, fileError(name, err)
	}
	return data, nil
}

// fileError gives an error of the file system its class.
func fileError(name string, err error) error {
	class := azml.ErrUnavailable
	switch {
	case errors.Is(err, fs.ErrNotExist):
		class = azml.ErrNotFound
	case errors.Is(err, fs.ErrPermission):
		class = azml.ErrDenied
	case strings.Contains(err.Error(), "escapes"):
		class = azml.ErrInvalid
	}
	return fmt.Errorf("%w: %s: %w", class, name, err)
}
