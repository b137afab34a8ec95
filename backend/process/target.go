package process

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// TypeTarget is the type of the compute targets of ComputeDriver.
const TypeTarget = "Process"

// Target configures a compute target that is this machine with folders of its own:
// a run there has the workspace through a gateway alone, as on another machine. It
// is for trying what a script does elsewhere, and for a scratch disk.
type Target struct {
	// Dir is the folder of jobs and programs, an absolute path.
	Dir string
	// CacheDir is the folder of environments and working folders, an absolute path;
	// the user's cache folder when empty.
	CacheDir string
}

// Source gives what ComputeDriver opens. Errors: ErrInvalid.
func (t Target) Source() (backend.ComputeSource, error) {
	source := backend.ComputeSource{Type: TypeTarget, Connection: map[string]string{"dir": t.Dir}}
	if t.CacheDir != "" {
		source.Connection["cacheDir"] = t.CacheDir
	}
	for name, path := range source.Connection {
		if !filepath.IsAbs(path) {
			return source, fmt.Errorf("%w: %s %q: give an absolute path", azml.ErrInvalid, name, path)
		}
	}
	return source, nil
}

// ComputeDriver opens the targets that Target configures. It implements
// backend.ComputeDriver.
type ComputeDriver struct{}

var _ backend.ComputeDriver = ComputeDriver{}

// Type gives TypeTarget.
func (ComputeDriver) Type() string { return TypeTarget }

// Open implements backend.ComputeDriver.
func (ComputeDriver) Open(_ context.Context, source backend.ComputeSource) (backend.OpenedCompute, error) {
	dir := source.Connection["dir"]
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("%w: dir %q: want an absolute path", azml.ErrInvalid, dir)
	}
	return New(dir, nil)
}
