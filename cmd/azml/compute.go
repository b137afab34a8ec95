package main

import (
	"github.com/spf13/cobra"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/process"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/workspace"
)

// computeDrivers gives the drivers of the targets that are not this machine.
func computeDrivers() []backend.ComputeDriver {
	return []backend.ComputeDriver{process.ComputeDriver{}}
}

func (a *app) computeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "compute",
		Short:   "Attach, list and show compute targets",
		Example: "  azml compute list",
	}
	cmd.AddCommand(&cobra.Command{
		Use:     "list",
		Short:   "List compute targets",
		Example: "  azml compute list",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				found, err := collect(ws.Compute().List(cmd.Context(), nil), 0, (*compute.Target).Details)
				if err != nil {
					return err
				}
				return showList(a, found, "No compute targets.", func(t *table) {
					t.row("COMPUTE", "TYPE", "STATE", "TAGS", "DESCRIPTION")
					for _, d := range found {
						t.row(d.Name, d.Type, d.ProvisioningState, labels(d.Tags), d.Description)
					}
				})
			})
		},
	}, a.computeShow(), a.computeAttach(), a.computeDetach(), a.computeDoctor())
	return cmd
}

func (a *app) computeShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show NAME",
		Short:   "Show a compute target",
		Example: "  azml compute show local",
		Args:    exactly(1, "the name of a compute target"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				target, err := ws.Compute().Get(cmd.Context(), args[0], nil)
				if err != nil {
					return err
				}
				d := target.Details()
				return a.show(d, func(t *table) {
					t.field("Compute", d.Name)
					t.field("Type", d.Type)
					t.field("State", d.ProvisioningState)
					t.field("Description", d.Description)
					t.field("Created", when(d.Created))
					t.labels("Connection", d.Connection)
					t.labels("Tags", d.Tags)
				})
			})
		},
	}
}

func (a *app) computeAttach() *cobra.Command {
	var where process.Target
	var opts compute.CreateOptions
	cmd := &cobra.Command{
		Use:   "attach NAME",
		Short: "Make a compute target known, for azml run submit --compute",
		Long: `Make a compute target known. It is connected to first, and nothing is stored when
that fails.

--process DIR is this machine, with jobs in a folder of its own: a run there has
the workspace through a gateway alone, as on another machine.`,
		Example: "  azml compute attach apart --process /scratch/jobs --cache-dir /scratch/cache",
		Args:    exactly(1, "the name of a compute target"),
	}
	f := cmd.Flags()
	f.StringVar(&where.Dir, "process", "", "this machine, with this folder for jobs and programs")
	f.StringVar(&where.CacheDir, "cache-dir", "", "folder on the target for environments and working folders (default: the user's cache folder)")
	f.StringVar(&opts.Description, "description", "", "what it is for")
	f.BoolVar(&opts.SkipValidation, "skip-validation", false, "store it without connecting")
	tags := tagsFlag(cmd, "tag", "tag of the target")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opts.Tags = tags.values
		if where.Dir == "" {
			return usage("say what it is: --process DIR")
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			target, err := ws.Compute().Create(cmd.Context(), args[0], where, &opts)
			if err != nil {
				return err
			}
			a.say("Attached %s", target.Name())
			return a.show(target.Details(), func(t *table) { t.line(target.Name()) })
		})
	}
	return cmd
}

func (a *app) computeDetach() *cobra.Command {
	return &cobra.Command{
		Use:     "detach NAME",
		Short:   "Forget a compute target; the machine itself is left alone",
		Example: "  azml compute detach apart",
		Args:    exactly(1, "the name of a compute target"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				if err := ws.Compute().Delete(cmd.Context(), args[0], nil); err != nil {
					return err
				}
				a.say("Detached %s", args[0])
				return nil
			})
		},
	}
}

func (a *app) computeDoctor() *cobra.Command {
	return &cobra.Command{
		Use:     "doctor NAME",
		Short:   "Tell whether a compute target can take runs now, and what to fix",
		Example: "  azml compute doctor apart",
		Args:    exactly(1, "the name of a compute target"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				target, err := ws.Compute().Get(cmd.Context(), args[0], nil)
				if err != nil {
					return err
				}
				if err := target.Check(cmd.Context(), nil); err != nil {
					return err
				}
				a.say("%s can take runs", target.Name())
				return nil
			})
		},
	}
}
