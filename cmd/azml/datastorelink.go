package main

import (
	"github.com/spf13/cobra"

	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/workspace"
)

// linkView is a link as it is shown.
type linkView struct {
	// URL is the link.
	URL string `json:"url"`
}

func (a *app) datastoreLink() *cobra.Command {
	var opts datastore.LinkOptions
	cmd := &cobra.Command{
		Use:   "link NAME PATH",
		Short: "Make a URL by which others can read or write a file for a while",
		Long: `Make a URL by which whoever has it can read a file of a datastore, or with --write
store it by PUT, without an account, until it expires. Azure Blob Storage and S3
can do it. A PATH that ends in "/" is for the files below a folder, in accounts of
Azure with a hierarchical namespace. The URL is a secret as long as it is good, and
can't be taken back.`,
		Example: `  azml datastore link lake raw/titanic.csv --expires 24h
  curl -H 'x-ms-blob-type: BlockBlob' -T results.csv "$(azml datastore link lake in/results.csv --write)"`,
		Args:              between(1, 2, "the name of a datastore and a path in it"),
		ValidArgsFunction: a.completeDatastores(),
	}
	cmd.Flags().DurationVar(&opts.Expires, "expires", 0, "how long it is good, up to 168h (default 1h)")
	cmd.Flags().BoolVar(&opts.Write, "write", false, "for writing the file, not for reading it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		args = append(args, "")
		return a.withDatastore(cmd.Context(), args[0], func(_ *workspace.Workspace, d *datastore.Datastore, path string) error {
			link, err := d.Link(cmd.Context(), path+args[1], &opts)
			if err != nil {
				return err
			}
			return a.show(linkView{link}, func(t *table) { t.line(link) })
		})
	}
	return cmd
}
