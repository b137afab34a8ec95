package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/workspace"
)

// targetView is a compute target, and how it is where that can change.
type targetView struct {
	compute.Details
	// Instance is how a compute instance is, nil for other targets.
	Instance *compute.Instance `json:"instance,omitempty"`
}

func drawInstance(t *table, i *compute.Instance) {
	if i == nil {
		return
	}
	t.field("Instance", i.State)
	t.field("Reason", i.Reason)
	t.field("Since", when(i.Since))
	t.field("Notebooks", i.URL)
	o := i.LastOperation
	t.field("Last operation", string(o.Name)+", "+string(o.Status)+", by "+string(o.Trigger)+", "+when(o.Time))
}

func (a *app) computeCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "create",
		Short:   "Make a compute target",
		Example: "  azml compute create instance desk --image python:3.12-slim",
	}
	cmd.AddCommand(a.computeCreateInstance(), a.computeCreateCluster(), a.computeKubernetes("create"))
	return cmd
}

func (a *app) computeCreateInstance() *cobra.Command {
	var common attachFlags
	var f dockerFlags
	var config docker.InstanceConfig
	var requirements string
	cmd := &cobra.Command{
		Use:   "instance NAME",
		Short: "Make a compute instance: a container with Jupyter for development, also a target for runs",
		Long: `Make a compute instance: a container of a Docker engine of this machine, with Jupyter,
which begins with an image that has Python. Jupyter, MLflow's client and the packages
of --requirements are installed in an image of their own. Its home folder stays when it
is stopped, and its other files until it is deleted.

Notebooks have the workspace, when that is a folder, at /workspace and by MLflow's
client, which needs no setting. azml compute open shows the address with the token.`,
		Example: `  azml compute create instance desk --image python:3.12-slim --idle-shutdown 30m
  azml compute create instance desk --image python:3.12-slim -r requirements.txt --memory 8g --gpus all`,
		Args: exactly(1, "a name for the compute instance"),
	}
	common.add(cmd)
	must(cmd.Flags().MarkHidden("skip-validation")) // it is made at once
	f.add(cmd)
	cmd.Flags().StringVarP(&requirements, "requirements", "r", "", "requirements file of pip, of packages for its notebooks")
	cmd.Flags().DurationVar(&config.IdleShutdown, "idle-shutdown", 0, "stop it when nobody has used it for this time, such as 30m (default never)")
	must(cmd.MarkFlagRequired("image"))
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if config.Config, err = f.complete(cmd.Context(), a); err != nil {
			return err
		}
		if requirements != "" {
			spec, err := (&environmentFlags{requirements: requirements}).spec()
			if err != nil {
				return err
			}
			config.Packages = spec.Python.Pip
		}
		common.opts.Log = a.stderr
		common.opts.Tags = common.tags.values
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			target, err := ws.Compute().Create(cmd.Context(), args[0], config, &common.opts)
			if err != nil {
				return err
			}
			a.say("Made %s. Its notebooks: azml compute open %s", target.Name(), target.Name())
			return a.show(target.Details(), func(t *table) { t.line(target.Name()) })
		})
	}
	return cmd
}

// operation is a command that does something with a compute instance.
func (a *app) operation(verb, short, done string, do func(ctx context.Context, t *compute.Target) error) *cobra.Command {
	return &cobra.Command{
		Use:     verb + " NAME",
		Short:   short,
		Example: "  azml compute " + verb + " desk",
		Args:    exactly(1, "the name of a compute instance"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				target, err := ws.Compute().Get(cmd.Context(), args[0], nil)
				if err != nil {
					return err
				}
				if err := do(cmd.Context(), target); err != nil {
					return err
				}
				if done != "" {
					a.say("%s %s", done, target.Name())
				}
				return nil
			})
		},
	}
}

func (a *app) computeStart() *cobra.Command {
	return a.operation("start", "Start a compute instance, or have a stopped cluster give nodes to runs again", "Started", func(ctx context.Context, t *compute.Target) error {
		return t.Start(ctx, &compute.StartOptions{Log: a.stderr})
	})
}

func (a *app) computeStop() *cobra.Command {
	return a.operation("stop", "Stop a compute instance, whose files stay, or the nodes of a cluster, where runs wait until it is started", "Stopped", func(ctx context.Context, t *compute.Target) error {
		return t.Stop(ctx, nil)
	})
}

func (a *app) computeRestart() *cobra.Command {
	return a.operation("restart", "Stop a compute instance and start it", "Restarted", func(ctx context.Context, t *compute.Target) error {
		return t.Restart(ctx, &compute.StartOptions{Log: a.stderr})
	})
}

func (a *app) computeOpen() *cobra.Command {
	return a.operation("open", "Show where a compute instance's notebooks are, with the token that gets in", "", func(ctx context.Context, t *compute.Target) error {
		link, err := t.NotebookURL(ctx, nil)
		if err != nil {
			return err
		}
		return a.show(map[string]string{"url": link}, func(t *table) { t.line(link) })
	})
}

func (a *app) computeDelete() *cobra.Command {
	var opts compute.DeleteOptions
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete a compute instance with all its files, or a cluster, whose targets stay",
		Long: `Delete a compute instance with all its files, or a cluster, whose targets stay. Machines
that a cluster has started by a command are stopped first, by its scheduler.`,
		Example: "  azml compute delete desk",
		Args:    exactly(1, "the name of a compute instance or a cluster"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				if err := a.deleteTarget(cmd.Context(), ws, args[0], false, &opts); err != nil {
					return err
				}
				a.say("Deleted %s", args[0])
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&opts.Force, "force", false, "delete a cluster whose machines are not stopped; they stay as they are")
	return cmd
}

// deleteTarget deletes a target of the kind that is meant: one that was attached
// outlives that, one that was made does not.
func (a *app) deleteTarget(ctx context.Context, ws *workspace.Workspace, name string, attached bool, opts *compute.DeleteOptions) error {
	target, err := ws.Compute().Get(ctx, name, nil)
	if err != nil {
		return err
	}
	switch d := target.Details(); {
	case d.IsAttached && !attached:
		return usage("%s was attached and not made: azml compute detach %s", name, name)
	case !d.IsAttached && attached:
		return usage("%s was made by azml: azml compute delete %s deletes it", name, name)
	}
	return ws.Compute().Delete(ctx, name, opts)
}
