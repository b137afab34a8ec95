//go:build !linux

package localfs

import (
	"os"
	"time"
)

// tree is the store's folder and all below it, which no path leaves.
type tree struct{ *os.Root }

func openTree(dir string) (*tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &tree{root}, nil
}

// Place links the file to a name that must be free; it is not moved.
func (t *tree) Place(from, to string) (moved bool, err error) { return false, t.Link(from, to) }

// setTime sets the modification time of an opened file, whose path is name.
func (t *tree) setTime(_ *os.File, name string, at time.Time) error { return t.Chtimes(name, at, at) }
