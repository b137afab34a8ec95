package workspace

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/atomicfile"
	"github.com/azml-go/azml/internal/core"
)

// configFile is a workspace's config.json: Azure ML's file with one more
// member, which says where the workspace is.
type configFile struct {
	Subscription string `json:"subscription_id"`
	Group        string `json:"resource_group"`
	Name         string `json:"workspace_name"`
	Location     string `json:"location,omitempty"`
}

// The places of a config file, in the order of Azure ML's search.
var (
	configDirs  = []string{".azureml", "aml_config", "."}
	configNames = []string{"config.json", "project.json"}
)

// FromConfig opens the workspace in a local folder that a config.json names.
// When path is a file, it is that one. Else path is a folder (the current one
// when empty), and the file is looked for as Azure ML does: .azureml/config.json,
// then .azureml/project.json, then the same in aml_config and in the folder
// itself, each first in path and then in all folders above it before the next is
// tried. Errors: ErrNotFound when there is no such file or no workspace where
// it points to; ErrInvalid for a file that names no location of a workspace;
// ErrUnsupported for one that names a URL, which azure.FromConfig takes, too.
func FromConfig(ctx context.Context, path string, opts *OpenOptions) (_ *Workspace, err error) {
	defer core.Wrap(&err, "open", kind, path)
	location, err := Locate(path)
	if err != nil {
		return nil, err
	}
	if isURL(location) {
		return nil, fmt.Errorf("%w: the workspace is at %s: open it by package azure", azml.ErrUnsupported, location)
	}
	var o OpenOptions
	if opts != nil {
		o = *opts
	}
	o.MustExist = true
	return Open(ctx, location, &o)
}

// Locate finds the config.json that FromConfig would take and gives where its
// workspace is: a folder's path, or a URL. Errors: as FromConfig's about files.
func Locate(path string) (string, error) {
	file, err := findConfig(path)
	if err != nil {
		return "", err
	}
	location, err := readConfig(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return location, nil
}

// isURL tells a URL from a folder's path.
func isURL(location string) bool { return strings.Contains(location, "://") }

func findConfig(path string) (string, error) {
	if path == "" {
		path = "."
	}
	start, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(start)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return start, nil
	}
	for _, sub := range configDirs {
		for _, name := range configNames {
			for dir := start; ; dir = filepath.Dir(dir) {
				file := filepath.Join(dir, sub, name)
				if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
					return file, nil
				}
				if dir == filepath.Dir(dir) {
					break
				}
			}
		}
	}
	return "", fmt.Errorf("%w: no .azureml/config.json, aml_config/config.json or config.json in %s or above it: name a workspace, or create one with `azml init`", azml.ErrNotFound, start)
}

// readConfig gives the folder or the URL that the file names; a relative folder
// starts at the file's own.
func readConfig(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	var c configFile
	if err := json.Unmarshal(data, &c); err != nil {
		return "", fmt.Errorf("%w: not the JSON object of a workspace: %w", azml.ErrInvalid, err)
	}
	if c.Location == "" {
		return "", fmt.Errorf("%w: it names the workspace %q of Azure and no \"location\": add the workspace's folder or URL as \"location\"", azml.ErrInvalid, c.Name)
	}
	if filepath.IsAbs(c.Location) || isURL(c.Location) {
		return c.Location, nil
	}
	return filepath.Join(filepath.Dir(file), filepath.FromSlash(c.Location)), nil
}

// WriteConfig writes .azureml/config.json below dir (the current folder when
// empty), so that FromConfig and the command azml find the workspace from there
// and from the folders below, and gives the file's path. Errors: ErrUnsupported
// for a workspace of which nobody has said where it is, ErrDenied.
func (w *Workspace) WriteConfig(dir string) (_ string, err error) {
	defer core.Wrap(&err, "write config of", kind, w.Name())
	location := w.location
	if location == "" {
		return "", fmt.Errorf("%w: the workspace is in no local folder: say where it is by Config.Location", azml.ErrUnsupported)
	}
	if dir == "" {
		dir = "."
	}
	folder, err := filepath.Abs(filepath.Join(dir, configDirs[0]))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	if relative, err := filepath.Rel(folder, location); err == nil && filepath.IsLocal(filepath.Join("x", relative)) {
		location = filepath.ToSlash(relative) // below dir: both can move together
	}
	data, err := json.MarshalIndent(configFile{Name: w.Name(), Location: location}, "", "  ")
	if err != nil {
		return "", err
	}
	file := filepath.Join(folder, configNames[0])
	return file, atomicfile.Write(file, append(data, '\n'), 0o644)
}
