package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/workspace"
)

func (a *app) endpointCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "endpoint",
		Short: "Deploy, call and look after endpoints that serve models over HTTP",
		Example: `  azml endpoint deploy churn --model churn:7 --entry-script score.py
  azml endpoint invoke churn --data '{"data": [[1, 2, 3]]}'`,
	}
	cmd.AddCommand(a.endpointDeploy(), a.endpointServe(), a.endpointList(), a.endpointShow(), a.endpointInvoke(),
		a.endpointLogs(), a.endpointKeys(), a.endpointStop(), a.endpointDelete())
	return cmd
}

// withEndpoint opens the workspace and finds the endpoint.
func (a *app) withEndpoint(ctx context.Context, name string, fn func(e *endpoint.Endpoint) error) error {
	return a.with(ctx, func(ws *workspace.Workspace) error {
		e, err := ws.Endpoints().Get(ctx, name, nil)
		if err != nil {
			return err
		}
		return fn(e)
	})
}

func (a *app) endpointList() *cobra.Command {
	var opts endpoint.ListOptions
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List endpoints by name",
		Example: "  azml endpoint list --model churn:7",
		Args:    noArgs,
	}
	cmd.Flags().StringVar(&opts.ModelID, "model", "", "only endpoints that serve this model, NAME:VERSION")
	tags := filterFlag(cmd, "tag", "only endpoints with this tag")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		opts.Tags = tags.values
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			found, err := collect(ws.Endpoints().List(cmd.Context(), &opts), 0, (*endpoint.Endpoint).Details)
			if err != nil {
				return err
			}
			return showList(a, found, "No endpoints.", func(t *table) {
				t.row("ENDPOINT", "STATE", "SINCE", "MODELS", "URL")
				for _, d := range found {
					t.row(d.Name, d.State, ago(d.Since), strings.Join(d.Models, ","), d.ScoringURI)
				}
			})
		})
	}
	return cmd
}

func (a *app) endpointShow() *cobra.Command {
	return &cobra.Command{
		Use:               "show NAME",
		Short:             "Show an endpoint",
		Example:           "  azml endpoint show churn -o json",
		Args:              exactly(1, "the name of an endpoint"),
		ValidArgsFunction: a.completeEndpoints(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withEndpoint(cmd.Context(), args[0], func(e *endpoint.Endpoint) error {
				return a.show(e.Details(), func(t *table) { drawEndpoint(t, e.Details()) })
			})
		},
	}
}

func drawEndpoint(t *table, d endpoint.Details) {
	t.field("Endpoint", d.Name)
	t.field("State", string(d.State)+", since "+ago(d.Since))
	t.field("Error", d.Error)
	t.field("Scoring URL", d.ScoringURI)
	t.field("Swagger URL", d.SwaggerURI)
	auth := "by key: azml endpoint keys " + d.Name + " --show"
	if !d.AuthEnabled {
		auth = "none"
	}
	t.field("Authentication", auth)
	t.field("Kind", d.Kind)
	t.field("Models", strings.Join(d.Models, ", "))
	t.field("Entry script", d.EntryScript)
	t.field("Environment", d.Environment)
	t.field("Replicas", d.Replicas)
	t.field("Description", d.Description)
	t.field("Created", when(d.Created)+" by "+d.CreatedBy)
	t.field("Updated", when(d.Updated))
	t.labels("Tags", d.Tags)
}

func (a *app) endpointLogs() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:               "logs NAME",
		Short:             "Print an endpoint's log: starts, requests, and what its script prints",
		Example:           "  azml endpoint logs churn --follow",
		Args:              exactly(1, "the name of an endpoint"),
		ValidArgsFunction: a.completeEndpoints(),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the endpoint is no longer served")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withEndpoint(cmd.Context(), args[0], func(e *endpoint.Endpoint) error {
			log, err := e.Logs(cmd.Context(), &endpoint.LogsOptions{Follow: follow})
			if err != nil {
				return err
			}
			return a.copyText(log)
		})
	}
	return cmd
}

func (a *app) endpointStop() *cobra.Command {
	return &cobra.Command{
		Use:               "stop NAME",
		Short:             "Stop serving an endpoint, which stays and can be served again",
		Example:           "  azml endpoint stop churn",
		Args:              exactly(1, "the name of an endpoint"),
		ValidArgsFunction: a.completeEndpoints(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withEndpoint(cmd.Context(), args[0], func(e *endpoint.Endpoint) error {
				if err := e.Stop(cmd.Context()); err != nil {
					return err
				}
				return a.show(e.Details(), func(t *table) { t.line(e.Name() + " is " + string(e.State())) })
			})
		},
	}
}

func (a *app) endpointDelete() *cobra.Command {
	return &cobra.Command{
		Use:               "delete NAME",
		Short:             "Stop and delete an endpoint with its keys and logs",
		Example:           "  azml endpoint delete churn",
		Args:              exactly(1, "the name of an endpoint"),
		ValidArgsFunction: a.completeEndpoints(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				if err := ws.Endpoints().Delete(cmd.Context(), args[0], nil); err != nil {
					return err
				}
				a.say("Deleted endpoint %s.", args[0])
				return nil
			})
		},
	}
}
