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

// setTime sets the modification time of an opened file, whose path is name.
func (t *tree) setTime(_ *os.File, name string, at time.Time) error { return t.Chtimes(name, at, at) }
