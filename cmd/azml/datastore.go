package main

import (
	"context"
	"iter"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/spf13/cobra"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/azureblob"
	"github.com/azml-go/azml/backend/postgres"
	"github.com/azml-go/azml/backend/s3"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/workspace"
)

// datastoreDrivers gives the drivers that are not built into the library.
// Containers that are registered without a credential are used as whoever is
// signed in.
func datastoreDrivers() []backend.DatastoreDriver {
	blob := azureblob.Driver{}
	if credential, err := azidentity.NewDefaultAzureCredential(nil); err == nil {
		blob.Credential = credential
	}
	return []backend.DatastoreDriver{blob, s3.Driver{}, postgres.Driver{}}
}

func (a *app) datastoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "datastore",
		Short: "Name the places where data lies, and move files there and back",
		Long: `A datastore is a name for a place where data lies: a folder, a bucket, a web
server, a database. Its credentials are kept in the workspace's secret store.
Where a datastore is asked for, a URI does it too: azureml://datastores/NAME/paths/PATH`,
		Example: `  azml datastore create raw --folder /mnt/data
  azml datastore upload raw ./data 2026/march
  azml datastore ls raw 2026/`,
	}
	cmd.AddCommand(a.datastoreCreate(), a.datastoreList(), a.datastoreShow(), a.datastoreSetDefault(),
		a.datastoreUpload(), a.datastoreDownload(), a.datastoreLs(), a.datastoreLink(), a.datastoreDelete())
	return cmd
}

func (a *app) completeDatastores() completion {
	return complete(a, 1, func(cmd *cobra.Command, ws *workspace.Workspace) iter.Seq2[*datastore.Datastore, error] {
		return ws.Datastores().List(cmd.Context(), nil)
	}, (*datastore.Datastore).Name)
}

// datastoreView is a datastore as it is shown.
type datastoreView struct {
	datastore.Details
	// IsDefault tells whether it is the workspace's default.
	IsDefault bool `json:"isDefault"`
}

// viewDatastores shows datastores with which of them is the default.
func viewDatastores(ctx context.Context, ws *workspace.Workspace) (func(*datastore.Datastore) datastoreView, error) {
	name := ""
	standard, err := ws.Datastores().Default(ctx, nil)
	if err == nil {
		name = standard.Name()
	} else if !missing(err) {
		return nil, err
	}
	return func(d *datastore.Datastore) datastoreView { return datastoreView{d.Details(), d.Name() == name} }, nil
}

func (a *app) datastoreList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the datastores",
		Example: "  azml datastore list",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				view, err := viewDatastores(cmd.Context(), ws)
				if err != nil {
					return err
				}
				list, err := collect(ws.Datastores().List(cmd.Context(), nil), 0, view)
				if err != nil {
					return err
				}
				return showList(a, list, "No datastores.", func(t *table) {
					t.row("NAME", "TYPE", "WHERE", "DESCRIPTION")
					for _, d := range list {
						name := d.Name
						if d.IsDefault {
							name += " (default)"
						}
						t.row(name, d.Type, labels(d.Connection), d.Description)
					}
				})
			})
		},
	}
}

func (a *app) datastoreShow() *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "show [NAME]",
		Short: "Show a datastore, the default one when none is named",
		Example: `  azml datastore show raw
  azml datastore show lake --check`,
		Args:              between(0, 1, "the name of a datastore"),
		ValidArgsFunction: a.completeDatastores(),
	}
	cmd.Flags().BoolVar(&check, "check", false, "connect to it, and fail when that does")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withDatastore(cmd.Context(), append(args, "")[0], func(ws *workspace.Workspace, d *datastore.Datastore, _ string) error {
			view, err := viewDatastores(cmd.Context(), ws)
			if err != nil {
				return err
			}
			if check {
				if err := d.Check(cmd.Context(), nil); err != nil {
					return err
				}
			}
			return a.showDatastore(view(d))
		})
	}
	return cmd
}

func (a *app) showDatastore(d datastoreView) error {
	return a.show(d, func(t *table) {
		t.field("Name", d.Name)
		t.field("Type", d.Type)
		t.field("Description", d.Description)
		if d.IsDefault {
			t.field("Default", "yes")
		}
		if d.HasCredentials {
			t.field("Credentials", "in the secret store")
		}
		t.field("Created", when(d.Created))
		t.field("Created by", d.CreatedBy)
		t.field("Modified", when(d.Modified))
		t.labels("Connection", d.Connection)
		t.labels("Tags", d.Tags)
	})
}

func (a *app) datastoreSetDefault() *cobra.Command {
	return &cobra.Command{
		Use:               "set-default NAME",
		Short:             "Make a datastore the one that is used where none is named",
		Example:           "  azml datastore set-default lake",
		Args:              exactly(1, "the name of a datastore"),
		ValidArgsFunction: a.completeDatastores(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				if err := ws.Datastores().SetDefault(cmd.Context(), args[0], nil); err != nil {
					return err
				}
				a.say("The default datastore is %s.", args[0])
				return nil
			})
		},
	}
}

func (a *app) datastoreDelete() *cobra.Command {
	return &cobra.Command{
		Use:               "delete NAME",
		Short:             "Forget a datastore and its credentials; the data stays",
		Example:           "  azml datastore delete lake",
		Args:              exactly(1, "the name of a datastore"),
		ValidArgsFunction: a.completeDatastores(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				if err := ws.Datastores().Unregister(cmd.Context(), args[0], nil); err != nil {
					return err
				}
				a.say("Unregistered datastore %s. Its data is where it was.", args[0])
				return nil
			})
		},
	}
}

// withDatastore opens the workspace and finds the datastore that a name or a URI
// means, the default one for "". The path is that of the URI.
func (a *app) withDatastore(ctx context.Context, name string, fn func(ws *workspace.Workspace, d *datastore.Datastore, path string) error) error {
	path := ""
	if datastore.IsURI(name) {
		u, err := datastore.ParseURI(name)
		if err != nil {
			return usageError{err}
		}
		name, path = u.Datastore, u.Path
	}
	return a.with(ctx, func(ws *workspace.Workspace) error {
		if name == "" {
			d, err := ws.Datastores().Default(ctx, nil)
			if err != nil {
				return err
			}
			return fn(ws, d, path)
		}
		d, err := ws.Datastores().Get(ctx, name, nil)
		if err != nil {
			return err
		}
		return fn(ws, d, path)
	})
}
