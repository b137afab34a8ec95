package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/backend/kubernetes"
	"github.com/azml-go/azml/backend/process"
	"github.com/azml-go/azml/backend/ssh"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/workspace"
)

// computeDrivers gives the drivers of the targets that are not this machine.
func computeDrivers() []backend.ComputeDriver {
	return []backend.ComputeDriver{process.ComputeDriver{}, docker.Kind{}, docker.InstanceKind{}, kubernetes.Kind{}, ssh.ComputeDriver{}}
}

func (a *app) computeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "compute",
		Short:   "Attach, make, list, show and examine compute targets",
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
						t.row(d.Name, d.Type, d.ProvisioningState, tagCell(d.Tags), d.Description)
					}
				})
			})
		},
	}, a.computeShow(), a.computeAttach(), a.computeNodes(), a.computeUpdate(), a.computeWait(), a.computeWatch(), a.computeDetach(), a.computeDoctor(),
		a.computeCreate(), a.computeStart(), a.computeStop(), a.computeRestart(), a.computeOpen(), a.computeDelete())
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
				view := targetView{Details: target.Details()}
				if d := view.Details; !d.IsAttached && d.Type != compute.TypeCluster {
					i, err := target.Instance(cmd.Context(), nil)
					if err != nil {
						return err
					}
					view.Instance = &i
				}
				d := view.Details
				return a.show(view, func(t *table) {
					t.field("Compute", d.Name)
					t.field("Type", d.Type)
					t.field("State", d.ProvisioningState)
					t.field("Description", d.Description)
					t.field("Created", when(d.Created))
					drawInstance(t, view.Instance)
					drawCluster(t, d.Cluster)
					t.labels("Connection", d.Connection)
					t.labels("Tags", d.Tags)
				})
			})
		},
	}
}

func (a *app) computeDetach() *cobra.Command {
	return &cobra.Command{
		Use:     "detach NAME",
		Short:   "Forget a compute target; the machine itself is left alone",
		Example: "  azml compute detach apart",
		Args:    exactly(1, "the name of a compute target"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				if err := a.deleteTarget(cmd.Context(), ws, args[0], true, nil); err != nil {
					return err
				}
				a.say("Detached %s", args[0])
				return nil
			})
		},
	}
}

func (a *app) computeDoctor() *cobra.Command {
	var opts compute.CheckOptions
	var within time.Duration
	cmd := &cobra.Command{
		Use:   "doctor NAME",
		Short: "Tell whether a compute target can take runs now, and what to fix",
		Example: `  azml compute doctor apart
  azml compute doctor k8s --try                          # starts a job, too: is its image there, is it admitted, is there room`,
		Args: exactly(1, "the name of a compute target"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				target, err := ws.Compute().Get(cmd.Context(), args[0], nil)
				if err != nil {
					return err
				}
				ctx, stop := context.WithTimeout(cmd.Context(), within)
				defer stop()
				if err := target.Check(ctx, &opts); err != nil {
					return err
				}
				a.say("%s can take runs", target.Name())
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&opts.Try, "try", false, "start a job that does nothing, too, and wait for its end")
	cmd.Flags().DurationVar(&within, "within", 5*time.Minute, "give up after this time")
	return cmd
}
