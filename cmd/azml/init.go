package main

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// defaultDir is the folder of a workspace that nobody named.
const defaultDir = ".azml"

func (a *app) initCommand() *cobra.Command {
	var name string
	var noConfig bool
	cmd := &cobra.Command{
		Use:   "init [DIR|URL]",
		Short: "Create a workspace",
		Long: `Create a workspace in a folder or in Azure (default: -w, $AZML_WORKSPACE, else
the folder .azml), and write .azureml/config.json into the current folder, so that
azml finds the workspace from here and from the folders below. A workspace that is
there already is left as it is.

In Azure, the URL is azblob://ACCOUNT/CONTAINER/PREFIX?vault=NAME, or https:// and
any other endpoint of a storage account. Secrets, such as the keys of endpoints,
are in the key vault. Credentials are never in the URL: they come from
AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN in
the environment, or else from az login or the machine's own identity.`,
		Example: `  azml init
  azml init /srv/ml --name risk-team
  azml init 'azblob://contosoml/risk?vault=contoso-ml'`,
		Args: between(0, 1, "one folder or URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.initialize(cmd.Context(), a.initLocation(args), name, noConfig)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the workspace (default: made of the folder's name, or of the end of the URL)")
	cmd.Flags().BoolVar(&noConfig, "no-config", false, "do not write .azureml/config.json")
	return cmd
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
	if existed {
		a.say("The workspace is there already and stays as it is.")
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
