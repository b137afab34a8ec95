package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/workspace"
)

func (a *app) datastoreLs() *cobra.Command {
	var recursive bool
	cmd := &cobra.Command{
		Use:   "ls [NAME [PATH]]",
		Short: "List the files and folders of a datastore",
		Long: `List the files and folders in the folder PATH of a datastore, the whole of the
default one by default; with --recursive, all files whose paths begin with PATH.`,
		Example: `  azml datastore ls
  azml datastore ls raw 2026/
  azml datastore ls raw 2026/march -r -o json`,
		Args:              between(0, 2, "the name of a datastore and a path in it"),
		ValidArgsFunction: a.completeDatastores(),
	}
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, "list all files below, without folders")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		args = append(args, "", "")
		return a.withDatastore(cmd.Context(), args[0], func(_ *workspace.Workspace, d *datastore.Datastore, path string) error {
			path += args[1]
			if path != "" && !recursive && !strings.HasSuffix(path, "/") {
				path += "/"
			}
			files, err := collect(d.Files(cmd.Context(), path, &datastore.FilesOptions{Folders: !recursive}), 0, func(f datastore.File) datastore.File { return f })
			if err != nil {
				return err
			}
			return showList(a, files, "No files.", func(t *table) {
				t.row("SIZE", "MODIFIED", "PATH")
				for _, f := range files {
					if f.IsFolder {
						t.row("", "", f.Path)
						continue
					}
					t.row(size(f.Size), ago(f.Modified), f.Path)
				}
			})
		})
	}
	return cmd
}

func (a *app) datastoreUpload() *cobra.Command {
	var opts datastore.UploadOptions
	cmd := &cobra.Command{
		Use:   "upload NAME SOURCE [PATH]",
		Short: "Store a file, or the files of a folder, in a datastore",
		Long: `Store the files below the folder SOURCE under their paths below the folder PATH
of a datastore, or one file. What is there already is skipped, so an upload that
was cut off goes on when it is called again; --overwrite replaces it.`,
		Example: `  azml datastore upload raw ./data 2026/march
  azml datastore upload azureml://datastores/raw/paths/2026/march ./data`,
		Args:              between(2, 3, "the name of a datastore, a folder or file of this machine and a path in the datastore"),
		ValidArgsFunction: a.completeDatastores(),
	}
	cmd.Flags().BoolVar(&opts.Overwrite, "overwrite", false, "replace files that are there")
	cmd.Flags().IntVar(&opts.Parallel, "parallel", 0, "how many files go up at once (default 8)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		args = append(args, "")
		return a.withDatastore(cmd.Context(), args[0], func(_ *workspace.Workspace, d *datastore.Datastore, path string) error {
			p := a.progress()
			opts.Progress = p.files("uploading")
			done, err := d.Upload(cmd.Context(), args[1], path+args[2], &opts)
			p.clear()
			return a.showTransfer("Uploaded", done, err)
		})
	}
	return cmd
}

func (a *app) datastoreDownload() *cobra.Command {
	var dir string
	var opts datastore.DownloadOptions
	cmd := &cobra.Command{
		Use:   "download NAME [PATH]",
		Short: "Write files of a datastore into a folder",
		Long: `Write the file PATH of a datastore, or the files of the folder PATH (all by
default), below a folder, under their paths in the datastore. What is there
already is skipped, so a download that was cut off goes on when it is called
again, within a file, too; --overwrite replaces what is there.`,
		Example:           "  azml datastore download raw 2026/march --dir data",
		Args:              between(1, 2, "the name of a datastore and a path in it"),
		ValidArgsFunction: a.completeDatastores(),
	}
	cmd.Flags().StringVar(&dir, "dir", ".", "folder to write into")
	cmd.Flags().BoolVar(&opts.Overwrite, "overwrite", false, "replace files that are there")
	cmd.Flags().IntVar(&opts.Parallel, "parallel", 0, "how many files come down at once (default 8)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		args = append(args, "")
		return a.withDatastore(cmd.Context(), args[0], func(_ *workspace.Workspace, d *datastore.Datastore, path string) error {
			p := a.progress()
			opts.Progress = p.files("downloading")
			done, err := d.Download(cmd.Context(), path+args[1], dir, &opts)
			p.clear()
			return a.showTransfer("Downloaded", done, err)
		})
	}
	return cmd
}

// showTransfer says what was moved, also when it was cut off.
func (a *app) showTransfer(verb string, done datastore.Transfer, err error) error {
	if err != nil {
		if done.Files > 0 {
			a.say("%s %s (%s) before that failed; call it again to go on.", verb, count(done.Files, "file"), size(done.Bytes))
		}
		return err
	}
	for _, path := range done.Differing {
		a.say("Skipped %s, which is there with another size (--overwrite replaces it).", path)
	}
	return a.show(done, func(t *table) {
		line := verb + " " + count(done.Files, "file") + " (" + size(done.Bytes) + ")"
		if done.Skipped > 0 {
			line += ", skipped " + count(done.Skipped, "file") + " that " + isAre(done.Skipped) + " there already"
		}
		t.line(line)
	})
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// files shows how much of a transfer is done.
func (p *progress) files(what string) func(datastore.Progress) {
	return func(d datastore.Progress) {
		p.set("%s %d of %s, %s of %s", what, d.Files, count(d.TotalFiles, "file"), size(d.Bytes), size(d.TotalBytes))
	}
}
