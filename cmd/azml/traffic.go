package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/endpoint"
)

func (a *app) endpointTraffic() *cobra.Command {
	var mirror []string
	var opts endpoint.TrafficOptions
	cmd := &cobra.Command{
		Use:   "traffic NAME [DEPLOYMENT=PERCENT …]",
		Short: "Show or set which share of the requests each deployment gets",
		Long: `Show or set which share of the requests each deployment gets, in percent. The default
deployment gets what is left, unless it is named; what else is not named gets none. At
first the default is the deployment that was deployed first. No request is lost. --mirror
has a deployment get copies of requests to others, whose answers are dropped.`,
		Example: `  azml endpoint traffic churn
  azml endpoint traffic churn green=10
  azml endpoint traffic churn blue=90 green=10
  azml endpoint traffic churn green=100 --default green
  azml endpoint traffic churn --mirror green=20`,
		Args:              between(1, -1, "the name of an endpoint"),
		ValidArgsFunction: a.completeEndpoints(),
	}
	cmd.Flags().StringArrayVar(&mirror, "mirror", nil, "DEPLOYMENT=PERCENT of the requests of which it gets a copy, or none")
	cmd.Flags().StringVar(&opts.Default, "default", "", "deployment that gets what is left from now on")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		traffic, err := percentages(args[1:])
		if err != nil {
			return err
		}
		if len(mirror) > 0 && mirror[0] == "none" {
			opts.Mirror = map[string]int{}
		} else if opts.Mirror, err = percentages(mirror); err != nil {
			return err
		}
		return a.withEndpoint(cmd.Context(), args[0], func(e *endpoint.Endpoint) error {
			if traffic != nil || opts.Mirror != nil || opts.Default != "" {
				if err := e.SetTraffic(cmd.Context(), traffic, &opts); err != nil {
					return err
				}
			}
			return a.showTraffic(e.Details())
		})
	}
	return cmd
}

// percentages reads DEPLOYMENT=PERCENT, nil of none.
func percentages(args []string) (map[string]int, error) {
	if len(args) == 0 {
		return nil, nil
	}
	all := map[string]int{}
	for _, arg := range args {
		name, text, ok := strings.Cut(arg, "=")
		n, err := strconv.Atoi(strings.TrimSuffix(text, "%"))
		if !ok || err != nil || name == "" {
			return nil, usage("%q: write DEPLOYMENT=PERCENT, such as green=10", arg)
		}
		if _, twice := all[name]; twice {
			return nil, usage("%q: deployment %s is named twice", arg, name)
		}
		all[name] = n
	}
	return all, nil
}

func (a *app) showTraffic(d endpoint.Details) error {
	if d.Warning != "" {
		a.say("Warning: %s.", d.Warning)
	}
	return a.show(d, func(t *table) {
		t.row("DEPLOYMENT", "TRAFFIC", "COPIES", "KIND", "MODELS", "DEPLOYED", "REVISION")
		for _, r := range []*endpoint.Revision{d.Current, d.Candidate} {
			if r == nil {
				continue
			}
			number := strconv.Itoa(r.Number)
			if r.Number == 0 {
				number = "not served yet"
			}
			for _, one := range r.Deployments {
				name := one.Name
				if one.Default {
					name += " (default)"
				}
				t.row(name, strconv.Itoa(one.Traffic)+" %", strconv.Itoa(one.Mirror)+" %", one.Kind, strings.Join(one.Models, ","), ago(one.Deployed), number)
			}
		}
	})
}

func (a *app) endpointRollback() *cobra.Command {
	var opts endpoint.RollbackOptions
	var list bool
	cmd := &cobra.Command{
		Use:   "rollback NAME",
		Short: "Serve again what was served before",
		Long: `Serve again what was served before the last change, deployments and traffic alike. What
of it is not running is started and tried first; no request is lost. Rolling back
again goes one further back.`,
		Example: `  azml endpoint rollback churn
  azml endpoint rollback churn --list
  azml endpoint rollback churn --to 3`,
		Args:              exactly(1, "the name of an endpoint"),
		ValidArgsFunction: a.completeEndpoints(),
	}
	cmd.Flags().IntVar(&opts.To, "to", 0, "number of the revision (default: the one before)")
	cmd.Flags().BoolVar(&list, "list", false, "list the revisions there are and change nothing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withEndpoint(cmd.Context(), args[0], func(e *endpoint.Endpoint) error {
			if list {
				return a.showRevisions(e)
			}
			if err := e.Rollback(cmd.Context(), &opts); err != nil {
				return err
			}
			if !e.Active() {
				return a.showTraffic(e.Details())
			}
			return a.awaitDeployed(cmd.Context(), e)
		})
	}
	return cmd
}

func (a *app) showRevisions(e *endpoint.Endpoint) error {
	all := e.Revisions()
	if now := e.Details().Current; now != nil {
		all = append([]endpoint.Revision{*now}, all...)
	}
	return showList(a, all, "Nothing was ever served.", func(t *table) {
		t.row("REVISION", "MADE", "BY", "CHANGE", "TRAFFIC")
		for _, r := range all {
			t.row(strconv.Itoa(r.Number), ago(r.Made), r.MadeBy, r.Note, trafficOf(&r))
		}
	})
}

// metricsRow is a deployment in a process that serves it.
type metricsRow struct {
	// Host is the process, as machine and process ID.
	Host string `json:"host"`
	// URL is where it serves.
	URL string `json:"url"`
	// Told is when the process told this.
	Told time.Time `json:"told"`
	endpoint.HostedDeployment
}

func (a *app) endpointMetrics() *cobra.Command {
	return &cobra.Command{
		Use:               "metrics NAME",
		Short:             "Show replicas and requests of an endpoint, as its processes told within the last ten seconds",
		Example:           "  azml endpoint metrics churn",
		Args:              exactly(1, "the name of an endpoint"),
		ValidArgsFunction: a.completeEndpoints(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withEndpoint(cmd.Context(), args[0], func(e *endpoint.Endpoint) error {
				var rows []metricsRow
				for _, host := range e.Details().Hosts {
					for _, d := range host.Deployments {
						rows = append(rows, metricsRow{fmt.Sprintf("%s:%d", host.Machine, host.PID), host.URL, host.Told, d})
					}
				}
				return showList(a, rows, "Nobody serves the endpoint.", func(t *table) {
					t.row("DEPLOYMENT", "HOST", "READY", "BUSY", "QUEUED", "REQUESTS", "FAILED", "REFUSED", "TIMEOUTS", "COPIES", "COLLECTED", "DROPPED", "MEAN", "TOLD")
					for _, r := range rows {
						t.row(r.Name, r.Host, fmt.Sprintf("%d/%d", r.Ready, r.Replicas), r.Busy, r.Queued, r.Requests, r.Failures,
							r.Refused, r.Timeouts, r.Mirrored, r.Collected, r.CollectDropped, fmt.Sprintf("%.1f ms", r.MeanMilliseconds), ago(r.Told))
					}
				})
			})
		},
	}
}

// testRow is how a deployment answered.
type testRow struct {
	// Deployment is its name.
	Deployment string `json:"deployment"`
	// OK says that the answer was below 400.
	OK bool `json:"ok"`
	// Milliseconds is how long it took.
	Milliseconds float64 `json:"milliseconds"`
	// Answer is the answer, or what was wrong.
	Answer string `json:"answer"`
}

func (a *app) endpointTest() *cobra.Command {
	var data, file string
	cmd := &cobra.Command{
		Use:   "test NAME",
		Short: "Send a request to each deployment of an endpoint, whatever traffic it has",
		Long: `Send a request to each deployment of an endpoint, whatever traffic it has, and tell how
it answers: its sample request, or what --data or --file gives. It ends with 1 when one fails.`,
		Example: `  azml endpoint test churn
  azml endpoint test churn --data '[[1, 2, 3]]'`,
		Args:              exactly(1, "the name of an endpoint"),
		ValidArgsFunction: a.completeEndpoints(),
	}
	cmd.Flags().StringVarP(&data, "data", "d", "", "the request")
	cmd.Flags().StringVar(&file, "file", "", "file with the request")
	cmd.MarkFlagsMutuallyExclusive("data", "file")
	var trust trustFlag
	trust.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		authorities, err := trust.authorities()
		if err != nil {
			return err
		}
		var body []byte
		if cmd.Flags().Changed("data") || file != "" {
			if body, err = a.request(cmd.Context(), file == "", data, file); err != nil {
				return err
			}
		}
		return a.withEndpoint(cmd.Context(), args[0], func(e *endpoint.Endpoint) error {
			return a.testDeployments(cmd.Context(), e, body, authorities)
		})
	}
	return cmd
}

func (a *app) testDeployments(ctx context.Context, e *endpoint.Endpoint, body []byte, authorities *x509.CertPool) error {
	var rows []testRow
	failed := false
	if now := e.Details().Current; now != nil {
		for _, d := range now.Deployments {
			request := body
			if request == nil {
				request = d.Sample
			}
			if request == nil {
				return usage("deployment %s has no sample request: give --data or --file", d.Name)
			}
			began := time.Now()
			answer, err := e.Invoke(ctx, request, &endpoint.InvokeOptions{Deployment: d.Name, RootCAs: authorities})
			row := testRow{Deployment: d.Name, OK: err == nil, Milliseconds: float64(time.Since(began).Microseconds()) / 1000, Answer: string(bytes.TrimSpace(answer))}
			if err != nil {
				row.Answer, failed = trustHint(err).Error(), true
			}
			rows = append(rows, row)
		}
	}
	err := showList(a, rows, "The endpoint serves nothing.", func(t *table) {
		t.row("DEPLOYMENT", "RESULT", "TIME", "ANSWER")
		for _, r := range rows {
			result := "ok"
			if !r.OK {
				result = "failed"
			}
			t.row(r.Deployment, result, fmt.Sprintf("%.1f ms", r.Milliseconds), r.Answer)
		}
	})
	if err == nil && failed {
		return fmt.Errorf("%w: a deployment did not answer as it should", azml.ErrFailed)
	}
	return err
}
