package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/run"
)

// downloaded says what was written where.
type downloaded struct {
	// Dir is the folder it was written into.
	Dir string `json:"dir"`
	// Files is the number of files.
	Files int `json:"files"`
	// Bytes is their size.
	Bytes int64 `json:"bytes"`
}

func (a *app) runDownload() *cobra.Command {
	var dir string
	var overwrite bool
	cmd := &cobra.Command{
		Use:   "download RUN [PREFIX]",
		Short: "Write files of a run into a folder",
		Long: `Write the files of a run whose paths begin with the folder or file PREFIX, all
by default, below a folder, and verify every byte.`,
		Example:           "  azml run download churn_1764000000_1f2e3d4c outputs --dir /tmp/result",
		Args:              between(1, 2, "the ID of a run and a path in it"),
		ValidArgsFunction: a.completeRuns(1),
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder to write into (default: one named after the run)")
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "replace files that are there")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		args = append(args, "")
		if dir == "" {
			dir = args[0]
		}
		return a.withRun(cmd.Context(), args[0], func(r *run.Run) error {
			return a.downloadRun(cmd.Context(), r, args[1], dir, overwrite)
		})
	}
	return cmd
}

func (a *app) downloadRun(ctx context.Context, r *run.Run, prefix, dir string, overwrite bool) error {
	files, err := r.Files(ctx, prefix)
	if err != nil {
		return err
	}
	done := downloaded{Dir: dir, Files: len(files)}
	for _, f := range files {
		done.Bytes += f.Size
	}
	p := a.progress()
	err = r.Download(ctx, prefix, dir, &run.DownloadOptions{Overwrite: overwrite, Progress: p.bytes("downloading")})
	p.clear()
	if err != nil {
		return overwriteHint(err)
	}
	return a.showDownloaded(done)
}

func (a *app) showDownloaded(d downloaded) error {
	return a.show(d, func(t *table) { t.line("Wrote " + count(d.Files, "file") + " (" + size(d.Bytes) + ") into " + d.Dir) })
}
