package model

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
)

// checkChildren tells what is wrong with child paths, and gives them clean and
// without those that lie below others.
func checkChildren(children []string) ([]string, error) {
	var clean []string
	for _, child := range children {
		child = path.Clean(strings.ReplaceAll(child, `\`, "/"))
		if !filepath.IsLocal(filepath.FromSlash(child)) || child == "." {
			return nil, fmt.Errorf("%w: child path %q: give a path below the folder", azml.ErrInvalid, child)
		}
		clean = append(clean, child)
	}
	slices.Sort(clean)
	return slices.DeleteFunc(slices.Compact(clean), func(child string) bool {
		return slices.ContainsFunc(clean, func(other string) bool { return strings.HasPrefix(child, other+"/") })
	}), nil
}

// addChildren adds files and folders below a folder of this machine.
func addChildren(ctx context.Context, batch *files.Batch, dir string, children []string) error {
	children, err := checkChildren(children)
	if err != nil {
		return err
	}
	for _, child := range children {
		at := filepath.Join(dir, filepath.FromSlash(child))
		info, err := os.Stat(at)
		if err != nil {
			return fmt.Errorf("child path %q: %w", child, err)
		}
		if info.IsDir() {
			err = files.AddTree(ctx, batch, at, child)
		} else {
			err = batch.AddFile(ctx, child, at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pickChildren keeps the files that are, or lie below, one of the children; all
// when there are none.
func pickChildren(all *files.Manifest, children []string) (*files.Manifest, error) {
	if len(children) == 0 {
		return all, nil
	}
	children, err := checkChildren(children)
	if err != nil {
		return nil, err
	}
	picked := &files.Manifest{}
	for _, child := range children {
		before := len(picked.Files)
		for _, f := range all.Files {
			if f.Path == child || strings.HasPrefix(f.Path, child+"/") {
				picked.Files = append(picked.Files, f)
			}
		}
		if len(picked.Files) == before {
			return nil, fmt.Errorf("%w: child path %q: there is %s", azml.ErrNotFound, child, core.Sample(paths(all)))
		}
	}
	slices.SortFunc(picked.Files, func(a, b files.File) int { return strings.Compare(a.Path, b.Path) })
	return picked, nil
}
