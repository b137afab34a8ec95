package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/azure"
	"github.com/azml-go/azml/internal/terminal"
	"github.com/azml-go/azml/workspace"
)

func (a *app) workspaceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "workspace",
		Short: "Show, check, clean and delete the workspace",
		Example: `  azml workspace show
  azml workspace fsck --deep`,
	}
	cmd.AddCommand(a.workspaceShow(), a.workspaceUpdate(), a.workspaceFsck(), a.workspaceGC(), a.workspaceReindex(), a.workspaceAudit(), a.workspaceDelete())
	return cmd
}

func (a *app) workspaceShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show",
		Short:   "Show the workspace",
		Example: "  azml workspace show -o json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error { return a.showWorkspace(ws.Details()) })
		},
	}
}

func (a *app) showWorkspace(d workspace.Details) error {
	return a.show(d, func(t *table) {
		t.field("Workspace", d.Name)
		t.field("Friendly name", d.FriendlyName)
		t.field("Description", d.Description)
		t.field("ID", d.ID)
		t.field("Location", d.Location)
		t.field("Key vault", d.Vault)
		t.field("Cache", d.CacheDir)
		t.field("Created", when(d.Created)+" by "+d.CreatedBy)
		t.labels("Tags", d.Tags)
	})
}

func (a *app) workspaceUpdate() *cobra.Command {
	var friendly, description, vault string
	var remove []string
	cmd := &cobra.Command{
		Use:   "update",
		Short: "Change the workspace's names for people, description, tags and key vault",
		Long: `Change the workspace's names for people, description and tags. With --vault, change
where a workspace in Azure keeps its secrets, for all who open it from then on; an
empty one leaves it to them. Secrets are not moved.`,
		Example: `  azml workspace update --description "models of the risk team" --tag team=risk
  azml workspace update --vault contoso-ml`,
		Args: noArgs,
	}
	cmd.Flags().StringVar(&friendly, "friendly-name", "", "name for people")
	cmd.Flags().StringVar(&description, "description", "", "description")
	cmd.Flags().StringVar(&vault, "vault", "", "key vault of the secrets: its name, host or URL")
	cmd.Flags().StringSliceVar(&remove, "remove-tag", nil, "tag to remove (repeatable)")
	tags := tagsFlag(cmd, "tag", "tag to set")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		change := workspace.Update{FriendlyName: changed(cmd, "friendly-name", &friendly), Description: changed(cmd, "description", &description),
			SetTags: tags.values, RemoveTags: remove, Vault: changed(cmd, "vault", &vault)}
		if change.FriendlyName == nil && change.Description == nil && change.Vault == nil && len(tags.values)+len(remove) == 0 {
			return usage("say what to change: --friendly-name, --description, --tag, --remove-tag or --vault")
		}
		if vault != "" {
			var err error
			if vault, err = azure.VaultURL(vault); err != nil {
				return err
			}
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			d, err := ws.Update(cmd.Context(), change)
			if err != nil {
				return err
			}
			return a.showWorkspace(d)
		})
	}
	return cmd
}

func (a *app) workspaceDelete() *cobra.Command {
	var yes, secrets bool
	cmd := &cobra.Command{
		Use:   "delete",
		Short: "Delete the workspace with everything in it",
		Long: `Delete the workspace with all its runs, models and endpoints, and the credentials of
its datastores and compute targets. There is no way back. Other objects in its place
stay, and other secrets in its key vault unless --secrets is given; they are listed.`,
		Example: "  azml -w /srv/ml workspace delete --yes",
		Args:    noArgs,
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&secrets, "secrets", false, "delete all secrets of its key vault, also those of other workspaces")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ws, err := a.open(cmd.Context())
		if err != nil {
			return err
		}
		d := ws.Details()
		if err := a.confirm(cmd.Context(), yes, d); err != nil {
			return errors.Join(err, ws.Close(context.WithoutCancel(cmd.Context())))
		}
		if err := ws.Delete(cmd.Context(), &workspace.DeleteOptions{DeleteSecrets: secrets, Kept: func(what string) { a.say("Left: %s", what) }}); err != nil {
			return err
		}
		a.say("Deleted workspace %s.", d.Name)
		return nil
	}
	return cmd
}

// confirm asks a person to type the workspace's name, unless they said yes.
func (a *app) confirm(ctx context.Context, yes bool, d workspace.Details) error {
	if yes {
		return nil
	}
	if !terminal.IsTerminal(a.stdin) {
		return usage("this deletes the workspace %s in %s for good: confirm it by --yes", d.Name, d.Location)
	}
	a.say("This deletes the workspace %s in %s with everything in it, for good.\nType its name to go on:", d.Name, d.Location)
	if line, err := a.readLine(ctx); err != nil || line != d.Name {
		return errors.New("nothing was deleted")
	}
	return nil
}
