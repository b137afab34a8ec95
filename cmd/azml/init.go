package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/workspace"
)

// defaultDir is the folder of a workspace that nobody named.
const defaultDir = ".azml"

func (a *app) initCommand() *cobra.Command {
	var name string
	var noConfig bool
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Create a workspace",
		Long: `Create a workspace in DIR (default: -w, $AZML_WORKSPACE, else .azml), and write
.azureml/config.json into the current folder, so that azml finds the workspace
from here and from the folders below. A workspace that is there already is left
as it is.`,
		Example: `  azml init
  azml init /srv/ml --name risk-team`,
		Args: between(0, 1, "one folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := a.initDir(args)
			return a.initialize(cmd.Context(), dir, name, noConfig)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the workspace (default: made of the folder's name)")
	cmd.Flags().BoolVar(&noConfig, "no-config", false, "do not write .azureml/config.json")
	return cmd
}

func (a *app) initDir(args []string) string {
	for _, dir := range append(args, a.dir, os.Getenv(workspaceVariable)) {
		if dir != "" {
			return dir
		}
	}
	return defaultDir
}

func (a *app) initialize(ctx context.Context, dir, name string, noConfig bool) (err error) {
	opts := &workspace.OpenOptions{MustExist: true, Name: name, Logger: a.logger()}
	ws, err := workspace.Open(ctx, dir, opts)
	existed := err == nil
	if missing(err) {
		opts.MustExist = false
		if name == "" && filepath.Base(dir) == defaultDir {
			opts.Name = nameOfParent(dir)
		}
		ws, err = workspace.Open(ctx, dir, opts)
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
