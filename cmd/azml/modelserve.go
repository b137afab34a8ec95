package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/workspace"
)

func (a *app) modelServe() *cobra.Command {
	d := deployment{foreground: true}
	var name string
	cmd := &cobra.Command{
		Use:   "serve NAME[:VERSION]",
		Short: "Serve a model that needs no scoring script until Ctrl-C",
		Long: `Serve a model of MLflow's, or one of the framework ScikitLearn with a pickle, in the
environment that it asks for: the same as azml endpoint deploy with the model alone
and --foreground. It answers at /score, /v2 and, if it is MLflow's, /invocations. An
endpoint that is there is left alone, unless --overwrite says that its main deployment
is to be replaced.`,
		Example: `  azml model serve churn
  azml model serve churn:7 --address 127.0.0.1:8080 --auth none
  azml model serve churn:8 --overwrite`,
		Args:              exactly(1, "a model, NAME, NAME:VERSION or NAME@ALIAS"),
		ValidArgsFunction: a.completeModels(),
	}
	f := cmd.Flags()
	f.StringVar(&name, "endpoint", "", "name of the endpoint (default: made of the model's)")
	f.BoolVar(&d.opts.Overwrite, "overwrite", false, "deploy to an endpoint that is there")
	f.IntVar(&d.config.Replicas, "replicas", 0, "number of processes (default 1)")
	d.environment.add(cmd)
	d.settings.add(cmd)
	d.serve.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if err := refuseZeros(cmd); err != nil {
			return err
		}
		if d.script.Environment, err = d.environment.spec(); err != nil {
			return err
		}
		d.models, d.config.Script, d.opts.Settings = args, &d.script, d.settings.given(cmd)
		if name == "" {
			name = endpointOf(args[0])
		}
		return a.measured(cmd.Context(), d.serve.metrics, func() error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				if err := checkNew(cmd.Context(), ws, name, d.opts.Overwrite); err != nil {
					return err
				}
				if err := refuseServed(cmd, ws, name, &d.serve); err != nil {
					return err
				}
				return a.deploy(cmd.Context(), ws, name, &d)
			})
		})
	}
	return cmd
}

// checkNew gives an error when the endpoint is there and is not to be overwritten: that
// it is named after a model does not say that it was made for trying that out.
func checkNew(ctx context.Context, ws *workspace.Workspace, name string, overwrite bool) error {
	if overwrite {
		return nil
	}
	_, err := ws.Endpoints().Get(ctx, name, nil)
	switch {
	case errors.Is(err, azml.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("endpoint %q: %w: name another one by --endpoint, or deploy to this one with --overwrite", name, azml.ErrExists)
}

// endpointOf makes the name of an endpoint of a model's: its letters and digits, from
// the first letter on.
func endpointOf(id string) string {
	name, _, _ := strings.Cut(id, "@")
	name, _, _ = strings.Cut(name, ":")
	name = strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return '-'
	}, strings.ToLower(name))
	const least, most = 3, 32
	name = strings.TrimRight(strings.TrimLeft(name, "-0123456789"), "-")
	if len(name) < least {
		name = strings.TrimRight("model-"+name, "-")
	}
	return strings.TrimRight(name[:min(len(name), most)], "-")
}
