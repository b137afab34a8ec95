package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/workspace"
)

func (a *app) computeAttach() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "attach",
		Short:   "Attach a compute target",
		Example: "  azml compute attach ssh box --address box.example.com --user me --key-file ~/.ssh/id_ed25519",
	}
	cmd.AddCommand(a.computeAttachSSH())
	return cmd
}

// attachFlags are those of all kinds of targets.
type attachFlags struct {
	opts compute.CreateOptions
	tags *pairs
}

func (f *attachFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.opts.Description, "description", "", "description of the target")
	cmd.Flags().BoolVar(&f.opts.SkipValidation, "skip-validation", false, "don't connect to it")
	f.tags = tagsFlag(cmd, "tag", "tag of the target")
}

// attach stores the target and shows it.
func (a *app) attach(ctx context.Context, name string, config compute.Config, f *attachFlags) error {
	f.opts.Tags = f.tags.values
	return a.with(ctx, func(ws *workspace.Workspace) error {
		target, err := ws.Compute().Create(ctx, name, config, &f.opts)
		if err != nil {
			return err
		}
		return a.show(target.Details(), func(t *table) { t.line(target.Name()) })
	})
}
