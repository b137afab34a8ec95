package history

import (
	"context"
	"strings"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/record"
)

// RunFiles gives the list of the run's files.
func RunFiles(run record.Run) FileList {
	return FileList{owner: run.ID, prefix: folder(run, "files")}
}

// FilesPart gives the key of a part of the list of the run's files, from 1.
func FilesPart(run record.Run, n int) string { return RunFiles(run).parts().Key(n) }

// Files gives the run's files below prefix (a file's path, or a folder's with
// or without a slash at its end; empty for all) as one manifest.
func Files(ctx context.Context, h core.Handle, run record.Run, prefix string) (*files.Manifest, error) {
	return RunFiles(run).Files(ctx, h, prefix)
}

// Below tells whether path is prefix or lies below it.
func Below(path, prefix string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	return prefix == "" || path == prefix || strings.HasPrefix(path, prefix+"/")
}

// FileNames gives the sorted paths of all files of the run.
func FileNames(ctx context.Context, h core.Handle, run record.Run) ([]string, error) {
	all, err := Files(ctx, h, run, "")
	if err != nil {
		return nil, err
	}
	names := make([]string, len(all.Files))
	for i, f := range all.Files {
		names[i] = f.Path
	}
	return names, nil
}
