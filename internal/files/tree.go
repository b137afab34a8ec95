package files

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/azml-go/azml"
)

// AddTree adds everything below the folder dir to the batch, under the path
// prefix: files, empty folders, and symbolic links, as links, that stay inside.
// Errors: ErrInvalid for links that lead out and for things that are no files.
func AddTree(ctx context.Context, batch *Batch, dir, prefix string) error {
	return filepath.WalkDir(dir, func(osPath string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, osPath)
		if err != nil {
			return err
		}
		name := path.Join(prefix, filepath.ToSlash(rel))
		switch {
		case entry.IsDir():
			if rel == "." && prefix == "" {
				return nil
			}
			return addIfEmpty(batch, name, osPath)
		case entry.Type().IsRegular():
			return batch.AddFile(ctx, name, osPath)
		case entry.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(osPath)
			if err != nil {
				return err
			}
			if err := batch.AddLink(name, filepath.ToSlash(target)); err != nil {
				return fmt.Errorf("%w: put what it points to in its place", err)
			}
			return nil
		}
		return fmt.Errorf("%w: %s is a %s, which can't be stored: remove it", azml.ErrInvalid, osPath, entry.Type())
	})
}

// addIfEmpty adds the folder when nothing in it would make it appear.
func addIfEmpty(batch *Batch, name, osPath string) error {
	entries, err := os.ReadDir(osPath)
	if err != nil || len(entries) > 0 {
		return err
	}
	return batch.AddDir(name)
}
