package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
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
  azml endpoint invoke churn --data '{"data": [[1, 2, 3]]}'
  azml endpoint deploy churn --deployment green --traffic 10 --model churn:8 --entry-script score.py
  azml endpoint traffic churn main=0 green=100`,
	}
	cmd.AddCommand(a.endpointCreate(), a.endpointUpdate(), a.endpointDeploy(), a.endpointTraffic(), a.endpointServe(), a.endpointList(), a.endpointShow(),
		a.endpointInvoke(), a.endpointTest(), a.endpointLogs(), a.endpointKeys(), a.endpointMetrics(), a.endpointRollback(),
		a.endpointStop(), a.endpointDelete())
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
				t.row("ENDPOINT", "STATE", "SINCE", "TRAFFIC", "MODELS", "URL")
				for _, d := range found {
					traffic := ""
					if d.Current != nil {
						traffic = trafficOf(d.Current)
					}
					t.row(d.Name, d.State, ago(d.Since), traffic, strings.Join(d.Models, ","), d.ScoringURI)
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
	t.field("Warning", d.Warning)
	t.field("Scoring URL", d.ScoringURI)
	t.field("Swagger URL", d.SwaggerURI)
	t.field("gRPC", d.GRPC)
	auth := map[endpoint.Auth]string{endpoint.AuthKey: "by key: azml endpoint keys " + d.Name + " --show",
		endpoint.AuthToken: "by token: azml endpoint keys " + d.Name + " --token", endpoint.AuthNone: "none"}
	t.field("Authentication", auth[d.Auth])
	t.field("Models", strings.Join(d.Models, ", "))
	drawRevision(t, "Revision", d.Current)
	drawRevision(t, "Being tried", d.Candidate)
	for _, host := range d.Hosts {
		text := fmt.Sprintf("process %d on %s, %s, revision %d at %s", host.PID, host.Machine, host.State, host.Revision, host.URL)
		if host.GRPC != "" {
			text += ", gRPC at " + host.GRPC
		}
		if said := cmp.Or(host.Error, host.Phase); said != "" {
			text += ": " + said
		}
		t.field("Served by", text)
	}
	t.field("Description", d.Description)
	t.field("Created", when(d.Created)+" by "+d.CreatedBy)
	t.field("Updated", when(d.Updated))
	t.labels("Tags", d.Tags)
}

func drawRevision(t *table, what string, r *endpoint.Revision) {
	if r == nil {
		return
	}
	number := ""
	if r.Number > 0 {
		number = strconv.Itoa(r.Number) + ", "
	}
	t.field(what, number+ago(r.Made)+" by "+r.MadeBy+": "+r.Note)
	for _, d := range r.Deployments {
		replicas := strconv.Itoa(d.MinReplicas)
		if d.MaxReplicas != d.MinReplicas {
			replicas += " to " + strconv.Itoa(d.MaxReplicas)
		}
		parts := []string{fmt.Sprintf("%d %%", d.Traffic), d.Kind}
		for _, part := range []string{d.EntryScript, string(d.Server), strings.Join(d.Models, ","), d.Environment} {
			if part != "" {
				parts = append(parts, part)
			}
		}
		t.field("  "+d.Name, strings.Join(append(parts, "replicas "+replicas), ", "))
	}
}

func (a *app) endpointLogs() *cobra.Command {
	var opts endpoint.LogsOptions
	cmd := &cobra.Command{
		Use:   "logs NAME",
		Short: "Print an endpoint's log: starts, failures, and what its script prints; or its requests",
		Example: `  azml endpoint logs churn --follow
  azml endpoint logs churn --requests | jq 'select(.status >= 500)'`,
		Args:              exactly(1, "the name of an endpoint"),
		ValidArgsFunction: a.completeEndpoints(),
	}
	cmd.Flags().BoolVar(&opts.Requests, "requests", false, "print the log of requests, one JSON object a line")
	cmd.Flags().BoolVarP(&opts.Follow, "follow", "f", false, "go on until the endpoint is no longer served")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withEndpoint(cmd.Context(), args[0], func(e *endpoint.Endpoint) error {
			log, err := e.Logs(cmd.Context(), &opts)
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
	var deployment string
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Stop and delete an endpoint with its keys and logs, or one of its deployments",
		Example: `  azml endpoint delete churn
  azml endpoint delete churn --deployment blue`,
		Args:              exactly(1, "the name of an endpoint"),
		ValidArgsFunction: a.completeEndpoints(),
	}
	cmd.Flags().StringVar(&deployment, "deployment", "", "delete this deployment only, which must have no traffic")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if deployment != "" {
			return a.withEndpoint(cmd.Context(), args[0], func(e *endpoint.Endpoint) error {
				if err := e.RemoveDeployment(cmd.Context(), deployment); err != nil {
					return err
				}
				a.say("Deleted deployment %s.", deployment)
				return nil
			})
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			if err := ws.Endpoints().Delete(cmd.Context(), args[0], nil); err != nil {
				return err
			}
			a.say("Deleted endpoint %s.", args[0])
			return nil
		})
	}
	return cmd
}
