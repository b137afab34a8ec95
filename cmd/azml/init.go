package main

import (
	"cmp"
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/azure"
	"github.com/azml-go/azml/workspace"
)

// defaultDir is the folder of a workspace that nobody named.
const defaultDir = ".azml"

func (a *app) initCommand() *cobra.Command {
	var name, account, vault string
	var noConfig bool
	cmd := &cobra.Command{
		Use:   "init [DIR|URL]",
		Short: "Create a workspace",
		Long: `Create a workspace in a folder or in Azure (default: -w, $AZML_WORKSPACE, else
the folder .azml), and write .azureml/config.json into the current folder, so that
azml finds the workspace from here and from the folders below. A workspace that is
there already is left as it is.

In Azure, the URL is azblob://ACCOUNT/CONTAINER/PREFIX?vault=NAME, for which --azure
and --vault stand, or https:// and any other endpoint of a storage account. The
container is created unless there is one, and what the caller may not do, there or
in the vault, is told with what to fix. Secrets, such as the keys of endpoints,
are in the key vault, which the workspace knows from then on. Credentials are never
in the URL: they come from AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_KEY or
AZURE_STORAGE_SAS_TOKEN in the environment, or else from az login or the machine's
own identity.`,
		Example: `  azml init
  azml init /srv/ml --name risk-team
  azml init --azure contosoml/risk --vault contoso-ml
  azml init 'azblob://contosoml/risk?vault=contoso-ml'    # the same`,
		Args: between(0, 1, "one folder or URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case account != "" && len(args) > 0:
				return usage("--azure and a folder or URL exclude each other")
			case account != "":
				args = []string{azureURL(account, vault)}
			case vault != "":
				return usage("--vault goes with --azure; in a URL it is ?vault=NAME")
			}
			return a.initialize(cmd.Context(), a.initLocation(args), name, noConfig)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the workspace (default: made of the folder's name, or of the end of the URL)")
	cmd.Flags().StringVar(&account, "azure", "", "create it in Azure: ACCOUNT/CONTAINER or ACCOUNT/CONTAINER/PREFIX")
	cmd.Flags().StringVar(&vault, "vault", "", "the key vault of its secrets, with --azure")
	cmd.Flags().BoolVar(&noConfig, "no-config", false, "do not write .azureml/config.json")
	return cmd
}

// azureURL gives the URL of a workspace in Azure.
func azureURL(account, vault string) string {
	location := "azblob://" + account
	if vault != "" {
		location += "?vault=" + url.QueryEscape(vault)
	}
	return location
}

func (a *app) initLocation(args []string) string {
	return cmp.Or(append(args, a.location, os.Getenv(workspaceVariable), defaultDir)...)
}

func (a *app) initialize(ctx context.Context, location, name string, noConfig bool) (err error) {
	ws, err := a.openAt(ctx, location)
	existed := err == nil
	if missing(err) {
		ws, err = a.createAt(ctx, location, name)
	}
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := ws.Close(context.WithoutCancel(ctx)); err == nil {
			err = closeErr
		}
	}()
	switch {
	case existed:
		a.say("The workspace is there already and stays as it is.")
	case azure.IsURL(location):
		if err := a.sayFindings(ctx, ws); err != nil {
			return err
		}
	}
	if !noConfig {
		file, err := ws.WriteConfig("")
		if err != nil {
			return err
		}
		a.say("Wrote %s.", file)
	}
	return a.showWorkspace(ws.Details())
}

// sayFindings tells what of the workspace's place should be looked at.
func (a *app) sayFindings(ctx context.Context, ws *workspace.Workspace) error {
	findings, err := ws.Doctor(ctx)
	for _, f := range findings {
		if f.Level == workspace.LevelInformation {
			continue
		}
		a.say("%s: %s: %s", f.Level, f.Check, f.Message)
		if f.Fix != "" {
			a.say("  what to do: %s", f.Fix)
		}
	}
	return err
}

// nameOfParent makes the name of a workspace in a folder .azml of the folder
// around it; empty leaves the choice to the library.
func nameOfParent(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	name := strings.Map(func(r rune) rune {
		if r < 128 && (r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') {
			return r
		}
		return '-'
	}, filepath.Base(filepath.Dir(abs)))
	if name = strings.Trim(name, "-_"); len(name) < 3 {
		return ""
	}
	return name[:min(len(name), 33)]
}
