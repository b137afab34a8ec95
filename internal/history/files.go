package history

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/record"
)

// parts gives the series of the parts of the run's list of files. Whoever adds
// files takes the next number; so two writers of the same path meet there, and
// the second sees the first.
func parts(id string) core.Series {
	return core.Series{Kind: "run files", Name: id, Prefix: Prefix(id) + "files/"}
}

// AddFiles adds the manifest's files, whose chunks are stored, to the run's
// files: all of them or none. Errors: ErrExists naming a path that the run
// has already.
func AddFiles(ctx context.Context, h core.Handle, id string, manifest *files.Manifest) error {
	if len(manifest.Files) == 0 {
		return nil
	}
	paths := make([]string, len(manifest.Files))
	for i, f := range manifest.Files {
		paths[i] = f.Path
	}
	manifestID, err := h.Files().PutManifest(ctx, manifest)
	if err != nil {
		return err
	}
	seen := 0
	_, _, err = core.Allot(ctx, h, parts(id), false, func(n int) (record.Files, error) {
		for ; seen < n-1; seen++ {
			part, err := core.GetFixed[record.Files](ctx, h, parts(id).Key(seen+1))
			if err != nil {
				return record.Files{}, err
			}
			if path := common(paths, part.Paths); path != "" {
				return record.Files{}, fmt.Errorf("%w: the run has a file %q already: files of a run are never replaced, choose another name", azml.ErrExists, path)
			}
		}
		return record.Files{Manifest: manifestID, Paths: paths}, nil
	})
	return err
}

// common gives a path that is in both sorted lists, "" when there is none.
func common(a, b []string) string {
	for _, path := range a {
		if _, found := slices.BinarySearch(b, path); found {
			return path
		}
	}
	return ""
}

// Files gives the run's files below prefix (a file's path, or a folder's with
// or without a slash at its end; empty for all) as one manifest.
func Files(ctx context.Context, h core.Handle, id, prefix string) (*files.Manifest, error) {
	all := &files.Manifest{}
	for part, err := range core.Numbers[record.Files](ctx, h, parts(id)) {
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(part.Value.Paths, func(p string) bool { return Below(p, prefix) }) {
			continue
		}
		manifest, err := h.Files().Manifest(ctx, part.Value.Manifest)
		if err != nil {
			return nil, err
		}
		for _, f := range manifest.Files {
			if Below(f.Path, prefix) {
				all.Files = append(all.Files, f)
			}
		}
	}
	slices.SortFunc(all.Files, func(a, b files.File) int { return strings.Compare(a.Path, b.Path) })
	return all, nil
}

// Below tells whether path is prefix or lies below it.
func Below(path, prefix string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	return prefix == "" || path == prefix || strings.HasPrefix(path, prefix+"/")
}

// FileNames gives the sorted paths of all files of the run, without reading
// manifests.
func FileNames(ctx context.Context, h core.Handle, id string) ([]string, error) {
	var names []string
	for part, err := range core.Numbers[record.Files](ctx, h, parts(id)) {
		if err != nil {
			return nil, err
		}
		names = append(names, part.Value.Paths...)
	}
	slices.Sort(names)
	return names, nil
}

// Manifests yields the IDs of all manifests that the run's record and its
// parts name: what the garbage collector must keep.
func Manifests(ctx context.Context, h core.Handle, run record.Run) ([]string, error) {
	var ids []string
	if run.Snapshot != "" {
		ids = append(ids, run.Snapshot)
	}
	for part, err := range core.Numbers[record.Files](ctx, h, parts(run.ID)) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, part.Value.Manifest)
	}
	return ids, nil
}
