package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/workspace"
)

// deployment is what the flags of `azml endpoint deploy` say.
type deployment struct {
	models      []string
	config      endpoint.Config
	script      endpoint.Script
	environment environmentFlags
	overwrite   bool
	foreground  bool
}

func (a *app) endpointDeploy() *cobra.Command {
	var d deployment
	cmd := &cobra.Command{
		Use:   "deploy NAME --model NAME[:VERSION] --entry-script FILE",
		Short: "Serve models by a Python scoring script with init() and run(data)",
		Long: `Make an endpoint and serve it. It is served by a process in the background, until
it is stopped or deleted; with --foreground by this one, until Ctrl-C. The script
finds the models in the folder that AZUREML_MODEL_DIR names. A snapshot of its
folder is kept, so later changes don't reach the endpoint.`,
		Example: `  azml endpoint deploy churn --model churn:7 --entry-script score.py -r requirements.txt
  azml endpoint deploy churn --model churn --source ./serving --entry-script score.py --overwrite`,
		Args: exactly(1, "the name of an endpoint"),
	}
	f := cmd.Flags()
	f.StringArrayVarP(&d.models, "model", "m", nil, "model to serve, NAME or NAME:VERSION (repeatable)")
	f.StringVarP(&d.script.Source, "source", "s", "", "folder of the script (default: the current one)")
	f.StringVar(&d.script.EntryScript, "entry-script", "", "scoring script, relative to the source folder (required)")
	d.environment.add(cmd)
	f.IntVar(&d.config.Replicas, "replicas", 1, "number of processes of the script")
	f.StringVar(&d.config.Address, "address", "", "HOST:PORT to listen on (default: a free port of the loopback interface)")
	f.BoolVar(&d.config.AuthDisabled, "no-auth", false, "let everybody in who can reach the address")
	f.DurationVar(&d.config.ScoringTimeout, "scoring-timeout", 0, "limit of one request (default 1m)")
	f.StringVar(&d.config.Description, "description", "", "description of the endpoint")
	f.BoolVar(&d.overwrite, "overwrite", false, "replace an endpoint of the same name that is being served")
	f.BoolVar(&d.foreground, "foreground", false, "serve in this process until Ctrl-C")
	variables, tags := variablesFlag(cmd), tagsFlag(cmd, "tag", "tag of the endpoint")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		d.script.Variables, d.config.Tags = variables.values, tags.values
		if d.script.EntryScript == "" {
			return usage("name the scoring script: --entry-script FILE")
		}
		if d.script.Environment, err = d.environment.spec(); err != nil {
			return err
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error { return a.deploy(cmd.Context(), ws, args[0], &d) })
	}
	return cmd
}

func (a *app) deploy(ctx context.Context, ws *workspace.Workspace, name string, d *deployment) error {
	for _, id := range d.models {
		m, err := ws.Models().GetByID(ctx, id, nil)
		if err != nil {
			return err
		}
		d.config.Models = append(d.config.Models, m)
	}
	d.config.Script = &d.script
	p := a.progress()
	p.set("storing the script and its environment's record …")
	_, err := ws.Endpoints().Create(ctx, name, d.config, &endpoint.DeployOptions{Overwrite: d.overwrite})
	p.clear()
	if err != nil {
		return overwriteHint(err)
	}
	if d.foreground {
		return a.serve(ctx, ws, name)
	}
	return a.serveInBackground(ctx, ws, name)
}

func (a *app) endpointServe() *cobra.Command {
	var background bool
	cmd := &cobra.Command{
		Use:   "serve NAME",
		Short: "Serve an endpoint that is not being served, until Ctrl-C",
		Long: `Serve an endpoint that was deployed and is not being served: after "stop", or when
the process that served it is gone.`,
		Example: `  azml endpoint serve churn
  azml endpoint serve churn --background`,
		Args:              exactly(1, "the name of an endpoint"),
		ValidArgsFunction: a.completeEndpoints(),
	}
	cmd.Flags().BoolVar(&background, "background", false, "serve by a process in the background")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			if background {
				return a.serveInBackground(cmd.Context(), ws, args[0])
			}
			return a.serve(cmd.Context(), ws, args[0])
		})
	}
	return cmd
}

// serveInBackground starts a process that serves the endpoint, and waits until
// it answers.
func (a *app) serveInBackground(ctx context.Context, ws *workspace.Workspace, name string) error {
	p := a.progress()
	p.set("starting the endpoint, and building its environment if it is new …")
	_, err := a.background(ctx, ws, "serve", []string{"endpoint", "serve", name})
	p.clear()
	if err != nil {
		return err
	}
	e, err := ws.Endpoints().Get(ctx, name, nil)
	if err != nil {
		return err
	}
	return a.showServed(e.Details())
}

// serve serves the endpoint in this process until ctx ends, or somebody else
// stops, deletes or replaces the endpoint.
func (a *app) serve(ctx context.Context, ws *workspace.Workspace, name string) error {
	p := a.progress()
	p.set("starting the endpoint, and building its environment if it is new …")
	e, err := ws.Endpoints().Serve(ctx, name, nil)
	p.clear()
	if err != nil {
		return err
	}
	if err := a.report(name); err != nil {
		a.say("azml: %v", err)
	}
	if err := a.showServed(e.Details()); err != nil {
		return err
	}
	if !awaitInterrupt(ctx, e) {
		a.say("The endpoint was stopped, deleted or deployed anew by somebody else.")
		return nil
	}
	a.say("\nStopping the endpoint; requests under way may finish.")
	return e.Stop(context.WithoutCancel(ctx))
}

// awaitInterrupt returns when ctx has ended, with true, or when this process
// serves the endpoint no more.
func awaitInterrupt(ctx context.Context, e *endpoint.Endpoint) bool {
	served := e.Details().Since
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return true
		case <-ticker.C:
		}
		err := e.Refresh(ctx)
		if missing(err) || err == nil && !e.Details().Since.Equal(served) {
			return false
		}
	}
}

// showServed says where an endpoint is and how to call it.
func (a *app) showServed(d endpoint.Details) error {
	return a.show(d, func(t *table) {
		t.line(d.Name + " is " + string(d.State) + " at " + d.ScoringURI)
		t.line("Call it:  azml endpoint invoke " + d.Name + " --data '…'")
		if d.AuthEnabled {
			t.line("Or:       curl -H \"Authorization: Bearer $(azml endpoint keys " + d.Name + " --show=primary)\" -d '…' " + d.ScoringURI)
		} else {
			t.line("Or:       curl -d '…' " + d.ScoringURI)
		}
	})
}
