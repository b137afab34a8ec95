package main

import (
	"context"
	"errors"
	"fmt"

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
		t.field("Key vault", vaultText(d))
		t.field("Cache", d.CacheDir)
		t.field("Created", when(d.Created)+" by "+d.CreatedBy)
		t.labels("Tags", d.Tags)
	})
}

// vaultText gives the key vault and who named it, empty when there is none.
func vaultText(d workspace.Details) string {
	switch d.VaultSource {
	case workspace.VaultSourceCaller:
		return d.Vault + " (named by the caller)"
	case workspace.VaultSourceRecord:
		return d.Vault + " (named by the workspace's record)"
	}
	return d.Vault
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
	var vault string
	cmd := &cobra.Command{
		Use:   "delete",
		Short: "Delete the workspace with everything in it",
		Long: `Delete the workspace with all its runs, models and endpoints, and the credentials of
its datastores and compute targets. There is no way back. Other objects in its place
stay, and other secrets in its key vault unless --secrets is given; they are listed.
--secrets needs --vault where neither the workspace's URL nor config.json names the
vault: its record may have been changed by anybody who writes to the workspace.`,
		Example: `  azml -w /srv/ml workspace delete --yes
  azml -w azblob://contosoml/risk workspace delete --secrets --vault contoso-ml`,
		Args: noArgs,
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&secrets, "secrets", false, "delete all secrets of its key vault, also those of other workspaces")
	cmd.Flags().StringVar(&vault, "vault", "", "the key vault that its secrets are in: its name, host or URL")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if vault != "" {
			var err error
			if vault, err = azure.VaultURL(vault); err != nil {
				return err
			}
		}
		ws, err := a.open(cmd.Context())
		if err != nil {
			return err
		}
		d := ws.Details()
		if err := a.confirm(cmd.Context(), yes, secrets, d); err != nil {
			return errors.Join(err, ws.Close(context.WithoutCancel(cmd.Context())))
		}
		if err := ws.Delete(cmd.Context(), &workspace.DeleteOptions{DeleteSecrets: secrets, Vault: vault, Kept: func(what string) { a.say("Left: %s", what) }}); err != nil {
			return errors.Join(err, ws.Close(context.WithoutCancel(cmd.Context())))
		}
		a.say("Deleted workspace %s.", d.Name)
		return nil
	}
	return cmd
}

// confirm asks a person to type the workspace's name, unless they said yes.
func (a *app) confirm(ctx context.Context, yes, secrets bool, d workspace.Details) error {
	if yes {
		return nil
	}
	if !terminal.IsTerminal(a.stdin) {
		return usage("this deletes %s, for good: confirm it by --yes", doomed(d, secrets))
	}
	a.say("This deletes %s, for good.\nType its name to go on:", doomed(d, secrets))
	if line, err := a.readLine(ctx); err != nil || line != d.Name {
		return errors.New("nothing was deleted")
	}
	return nil
}

// doomed says what a delete takes, with the places that it is in.
func doomed(d workspace.Details, allSecrets bool) string {
	text := fmt.Sprintf("the workspace %s in %s with everything in it", d.Name, d.Location)
	switch {
	case d.Vault == "":
		return text
	case allSecrets:
		return text + ", and all secrets of the key vault " + vaultText(d)
	}
	return text + ", and its secrets in the key vault " + vaultText(d)
}
