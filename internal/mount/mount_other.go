//go:build !linux

package mount

import (
	"fmt"
	"io/fs"

	"github.com/azml-go/azml"
)

// Tree is what can be mounted.
type Tree interface {
	fs.ReadDirFS
	fs.StatFS
}

// Mounted is a folder that is mounted.
type Mounted struct{}

var errElsewhere = fmt.Errorf("%w: files are mounted on Linux only", azml.ErrUnsupported)

// Read gives ErrUnsupported.
func Read(string, Tree, func(string, error)) (*Mounted, error) { return nil, errElsewhere }

// Write gives ErrUnsupported.
func Write(string, string, func(string)) (*Mounted, error) { return nil, errElsewhere }

// Close has nothing to end.
func (*Mounted) Close() error { return nil }

// Detach has nothing to end.
func Detach(string) error { return nil }
