package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/endpoint/inferencegrpc"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/pause"
	"github.com/azml-go/azml/internal/runconfig"
	"github.com/azml-go/azml/workspace"
)

// settingsFlags are the flags of an endpoint's own settings.
type settingsFlags struct {
	settings endpoint.Settings
	auth     string
	tags     *pairs
}

func (s *settingsFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.auth, "auth", "", "what requests need: key, token or none (default key)")
	f.StringArrayVar(&s.settings.CORSOrigins, "cors-origin", nil, "web origin whose pages may call it, such as https://ml.example.com, '*' for all, or none (repeatable)")
	f.Int64Var(&s.settings.MaxBody, "max-body", 0, "largest body of a request in bytes (default 100 MiB)")
	f.StringVar(&s.settings.Description, "description", "", "description of the endpoint")
	s.tags = tagsFlag(cmd, "tag", "tag of the endpoint")
}

// refuseZeros refuses a zero of a flag of endpoints that stands for the default: it would be
// taken for that, which is hardly what was meant.
func refuseZeros(cmd *cobra.Command) error {
	for _, name := range []string{"replicas", "max-replicas", "target-utilization", "max-concurrent", "max-batch", "max-batch-wait", "max-queue", "max-queue-wait",
		"scoring-timeout", "init-timeout", "max-memory", "max-body"} {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed && strings.TrimSuffix(f.Value.String(), "s") == "0" {
			return usage("--%s 0: use another number, or leave it out for the default", name)
		}
	}
	return nil
}

// given gives the settings, nil when no flag was used.
func (s *settingsFlags) given(cmd *cobra.Command) *endpoint.Settings {
	used := false
	for _, name := range []string{"auth", "cors-origin", "max-body", "description", "tag"} {
		used = used || cmd.Flags().Changed(name)
	}
	if !used {
		return nil
	}
	s.settings.Auth, s.settings.Tags = endpoint.Auth(s.auth), s.tags.values
	if slices.Equal(s.settings.CORSOrigins, []string{"none"}) {
		s.settings.CORSOrigins = []string{}
	}
	return &s.settings
}

func (a *app) endpointUpdate() *cobra.Command {
	var s settingsFlags
	var change endpoint.Update
	cmd := &cobra.Command{
		Use:   "update NAME",
		Short: "Change the settings of an endpoint, also while it is served",
		Example: `  azml endpoint update churn --auth token --tag team=risk --remove-tag candidate
  azml endpoint update churn --cors-origin none`,
		Args:              exactly(1, "the name of an endpoint"),
		ValidArgsFunction: a.completeEndpoints(),
	}
	s.add(cmd)
	cmd.Flags().StringSliceVar(&change.RemoveTags, "remove-tag", nil, "tag to remove (repeatable)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := refuseZeros(cmd); err != nil {
			return err
		}
		settings := s.given(cmd)
		if settings == nil && len(change.RemoveTags) == 0 {
			return usage("say what to change: --auth, --cors-origin, --max-body, --description, --tag or --remove-tag")
		}
		if settings != nil {
			change.Auth, change.CORSOrigins, change.MaxBody, change.SetTags = settings.Auth, settings.CORSOrigins, settings.MaxBody, settings.Tags
		}
		change.Description = changed(cmd, "description", &s.settings.Description)
		return a.withEndpoint(cmd.Context(), args[0], func(e *endpoint.Endpoint) error {
			if err := e.Update(cmd.Context(), change); err != nil {
				return err
			}
			return a.show(e.Details(), func(t *table) { t.line("Updated endpoint " + e.Name() + ".") })
		})
	}
	return cmd
}

// serveFlags are the flags of a process that serves an endpoint.
type serveFlags struct{ address, grpc, certificate, key, metrics, control string }

// serveFlag is one of them.
type serveFlag struct {
	value      *string
	name, help string
}

// each gives all of them, by their names.
func (s *serveFlags) each() []serveFlag {
	return []serveFlag{
		{&s.address, "address", "HOST:PORT to listen on (default: a free port of the loopback interface)"},
		{&s.grpc, "grpc", "HOST:PORT for the Open Inference Protocol over gRPC (default: it is not served)"},
		{&s.metrics, "metrics-address", metricsHelp},
		{&s.control, "model-control", "explicit: clients may load and unload the model by the Open Inference Protocol (default none)"},
		{&s.certificate, "tls-cert", "file with the certificate (PEM) for HTTPS; a renewed one is taken within a second"},
		{&s.key, "tls-key", "file with the certificate's key"},
	}
}

func (s *serveFlags) add(cmd *cobra.Command) {
	for _, f := range s.each() {
		cmd.Flags().StringVar(f.value, f.name, "", f.help)
	}
	cmd.MarkFlagsRequiredTogether("tls-cert", "tls-key")
}

func (s *serveFlags) options() *endpoint.ServeOptions {
	opts := &endpoint.ServeOptions{Address: s.address, CertificateFile: s.certificate, KeyFile: s.key, ModelControl: endpoint.ModelControl(s.control)}
	if s.grpc != "" {
		opts.GRPC = inferencegrpc.Listen(s.grpc)
	}
	return opts
}

// args gives the flags as another process gets them.
func (s *serveFlags) args() []string {
	var args []string
	for _, f := range s.each() {
		if *f.value != "" {
			args = append(args, "--"+f.name+"="+*f.value)
		}
	}
	return args
}

// refuseServed gives an error when a flag says how to serve an endpoint that is served
// already: who serves it goes on as before.
func refuseServed(cmd *cobra.Command, ws *workspace.Workspace, name string, s *serveFlags) error {
	var flags []string
	for _, f := range append(s.each(), serveFlag{name: "foreground"}) {
		if cmd.Flags().Changed(f.name) {
			flags = append(flags, "--"+f.name)
		}
	}
	if len(flags) == 0 {
		return nil
	}
	e, err := ws.Endpoints().Get(cmd.Context(), name, nil)
	if missing(err) || err == nil && !e.Active() {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: endpoint %q is served already, and goes on as it is: leave %s out, or first run azml endpoint stop %s",
		azml.ErrConflict, name, strings.Join(flags, ", "), name)
}

func (a *app) endpointCreate() *cobra.Command {
	var s settingsFlags
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an endpoint that serves nothing yet",
		Example: `  azml endpoint create churn --auth token --description "who will leave"
  azml endpoint create churn --cors-origin https://example.org`,
		Args: exactly(1, "the name of an endpoint"),
	}
	s.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := refuseZeros(cmd); err != nil {
			return err
		}
		settings := s.given(cmd)
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			e, err := ws.Endpoints().Create(cmd.Context(), args[0], &endpoint.CreateOptions{Settings: settings})
			if err != nil {
				return err
			}
			return a.show(e.Details(), func(t *table) { t.line("Created endpoint " + e.Name() + ".") })
		})
	}
	return cmd
}

// deployment is what the flags of `azml endpoint deploy` say.
type deployment struct {
	models      []string
	config      endpoint.Config
	script      endpoint.Script
	scaling     endpoint.Scaling
	environment environmentFlags
	collects    collectFlags
	settings    settingsFlags
	serve       serveFlags
	opts        endpoint.DeployOptions
	traffic     int
	sample      string
	memory      string
	noSample    bool
	foreground  bool
}

func (a *app) endpointDeploy() *cobra.Command {
	var d deployment
	cmd := &cobra.Command{
		Use:   "deploy NAME --model NAME[:VERSION] [--entry-script FILE]",
		Short: "Serve models by a Python scoring script with init() and run(data), or a model alone",
		Long: `Make a deployment of an endpoint. The processes that serve the endpoint start it, and
try a sample request if one is given, before it gets traffic; when that fails, the
error says in which phase and why, and what was served goes on. An endpoint that
nobody serves is served by a process in the background, until it is stopped or
deleted; with --foreground by this one, until Ctrl-C. The script finds the models
in the folder that AZUREML_MODEL_DIR names. A snapshot of its folder is kept, so
later changes don't reach the endpoint.

Without a script, a model of MLflow's (with a file MLmodel), or one of the framework
ScikitLearn with a pickle, is served by what it is, in the environment that it asks
for unless -r or another flag names one. A model in a file .onnx is served by the
program azml-onnx of the module github.com/azml-go/azml/onnx.

When nobody is there who can serve what was deployed, the exit code is 3; it is kept,
and tried as soon as somebody who can serves the endpoint.`,
		Example: `  azml endpoint deploy churn --model churn:7 --entry-script score.py -r requirements.txt
  azml endpoint deploy churn --deployment green --traffic 10 --model churn:8 --entry-script score.py --sample request.json
  azml endpoint deploy churn --model churn:8 --entry-script score.py --collect request=10 --collect model_inputs
  azml endpoint deploy churn --model churn --source ./serving --entry-script score.py --overwrite
  azml endpoint deploy churn --model churn:9`,
		Args:              exactly(1, "the name of an endpoint"),
		ValidArgsFunction: a.completeEndpoints(),
	}
	d.addFlags(cmd)
	variables := variablesFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		d.script.Variables = variables.values
		if err := d.read(cmd); err != nil {
			return err
		}
		if err := checkMetrics(d.serve.metrics); err != nil { // also of a process in the background
			return err
		}
		metrics := ""
		if d.foreground {
			metrics = d.serve.metrics
		}
		return a.measured(cmd.Context(), metrics, func() error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				if err := refuseServed(cmd, ws, args[0], &d.serve); err != nil {
					return err
				}
				return a.deploy(cmd.Context(), ws, args[0], &d)
			})
		})
	}
	return cmd
}

func (d *deployment) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&d.opts.Deployment, "deployment", endpoint.MainDeployment, "name of the deployment")
	f.IntVar(&d.traffic, "traffic", 0, "its share of the requests in percent (default: as it is; all for the first deployment)")
	f.StringArrayVarP(&d.models, "model", "m", nil, "model to serve, NAME, NAME:VERSION or NAME@ALIAS (repeatable)")
	f.StringVarP(&d.script.Source, "source", "s", "", "folder of the script (default: the current one)")
	f.StringVar(&d.script.EntryScript, "entry-script", "", "scoring script, relative to the source folder (default: none; the model is served by what it is)")
	f.StringVar((*string)(&d.script.Server), "server", "", "what runs the script: "+string(endpoint.ServerInference)+" of its environment (default: azml's own)")
	d.environment.add(cmd)
	f.StringVar(&d.sample, "sample", "", "file with a request that is tried before it gets traffic (default: the one that the model brings along)")
	f.BoolVar(&d.noSample, "no-sample", false, "try no request")
	f.IntVar(&d.config.Replicas, "replicas", 0, "number of processes of the script (default 1)")
	f.IntVar(&d.scaling.Min, "min-replicas", 0, "least number of processes, 0 for none while nobody asks")
	f.IntVar(&d.scaling.Max, "max-replicas", 0, "greatest number of processes (default 10)")
	f.IntVar(&d.scaling.TargetPercent, "target-utilization", 0, "share of busy processes that is wanted, in percent (default 70)")
	f.IntVar(&d.config.MaxConcurrent, "max-concurrent", 0, "how many requests, or batches, of an ONNX model run at once (default: as many as processors)")
	f.IntVar(&d.config.MaxBatch, "max-batch", 0, "how many requests are sent together to what takes several (default 32; 1: none)")
	f.DurationVar(&d.config.MaxBatchWait, "max-batch-wait", 0, "how long one waits for others where that pays (default 2ms; less than 0: not at all)")
	f.IntVar(&d.config.MaxQueue, "max-queue", 0, "how many requests may wait (default 1000)")
	f.DurationVar(&d.config.MaxQueueWait, "max-queue-wait", 0, "how long a request may wait (default 500ms)")
	f.DurationVar(&d.config.ScoringTimeout, "scoring-timeout", 0, "limit of one request (default 1m)")
	f.DurationVar(&d.config.InitTimeout, "init-timeout", 0, "limit of the script's start (default 5m)")
	f.StringVar(&d.memory, "max-memory", "", "data that each process of the script may have, such as 2g (default: no limit)")
	f.BoolVar(&d.config.AtMostOnce, "at-most-once", false, "never begin a request again whose process has died")
	f.BoolVar(&d.opts.Overwrite, "overwrite", false, "replace a deployment of the same name that is being served")
	f.BoolVar(&d.foreground, "foreground", false, "serve in this process until Ctrl-C")
	d.collects.add(cmd)
	d.settings.add(cmd)
	d.serve.add(cmd)
}

// read turns the flags into what is deployed.
func (d *deployment) read(cmd *cobra.Command) (err error) {
	if err := refuseZeros(cmd); err != nil {
		return err
	}
	if d.script.EntryScript == "" && len(d.models) == 0 {
		return usage("name what is served: --model NAME, --entry-script FILE, or both")
	}
	if d.script.Environment, err = d.environment.spec(); err != nil {
		return err
	}
	if d.config.Collect, err = d.collects.collection(); err != nil {
		return err
	}
	used := cmd.Flags().Changed
	if used("min-replicas") || used("max-replicas") || used("target-utilization") {
		d.config.Scaling = &d.scaling
	}
	if used("traffic") {
		d.opts.Traffic = &d.traffic
	}
	if d.memory != "" {
		if d.config.MaxMemory, err = runconfig.ParseSize(d.memory); err != nil {
			return usage("--max-memory %q: use a size such as 512m or 2g", d.memory)
		}
	}
	if d.sample != "" && d.noSample {
		return usage("--sample and --no-sample exclude each other")
	}
	if d.noSample {
		d.config.Sample = []byte{}
	}
	if d.sample != "" {
		if d.config.Sample, err = os.ReadFile(d.sample); err != nil {
			return err
		}
	}
	d.opts.Settings, d.config.Script = d.settings.given(cmd), &d.script
	return nil
}

func (a *app) deploy(ctx context.Context, ws *workspace.Workspace, name string, d *deployment) error {
	for _, id := range d.models {
		m, err := ws.Models().GetByID(ctx, id, nil)
		if err != nil {
			return err
		}
		d.config.Models = append(d.config.Models, m)
	}
	p := a.progress()
	d.opts.Serve = d.serve.options()
	d.opts.Progress = func(phase string) { p.set("%s …", phase) }
	e, err := ws.Endpoints().Propose(ctx, name, d.config, &d.opts)
	p.clear()
	if err != nil {
		return overwriteHint(err)
	}
	err = a.serveDeployed(ctx, ws, e, d)
	if ctx.Err() != nil { // Ctrl-C
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawTime)
		defer cancel()
		err = errors.Join(err, e.Withdraw(ctx))
	}
	return err
}

// withdrawTime bounds how long a deployment that nobody waits for any more is taken back.
const withdrawTime = 10 * time.Second

// serveDeployed has what was deployed tried by those who serve the endpoint, or serves it.
func (a *app) serveDeployed(ctx context.Context, ws *workspace.Workspace, e *endpoint.Endpoint, d *deployment) error {
	served, err := ws.Endpoints().Get(ctx, e.Name(), nil)
	if err != nil {
		return err
	}
	if !served.Active() {
		if d.foreground {
			return kept(a.serve(ctx, ws, e.Name(), &d.serve))
		}
		if err := a.startInBackground(ctx, ws, e.Name(), &d.serve); err != nil {
			return kept(err)
		}
	}
	return a.awaitDeployed(ctx, e) // what is served now may be somebody else's
}

// kept adds to the error that azml can't serve what it has deployed that this was not in vain.
func kept(err error) error {
	if _, ok := errors.AsType[unservedError](err); ok {
		return fmt.Errorf("%w; what was deployed is kept, and tried as soon as such a program serves the endpoint", err)
	}
	return err
}

// awaitDeployed waits for those who serve the endpoint to try what is new.
func (a *app) awaitDeployed(ctx context.Context, e *endpoint.Endpoint) error {
	p := a.progress()
	err := e.AwaitDeployed(ctx, &endpoint.AwaitOptions{Progress: func(phase string) { p.set("%s …", phase) }})
	p.clear()
	if nobodyServes(err) {
		return unservedError{err}
	}
	if err != nil {
		return err
	}
	if err := e.Refresh(ctx); err != nil {
		return err
	}
	return a.showServed(e.Details())
}

// nobodyServes tells of an error of waiting whether nobody serves the endpoint, rather
// than the workspace's store being out of reach.
func nobodyServes(err error) bool {
	_, ofStore := errors.AsType[*core.StoreError](err)
	return errors.Is(err, azml.ErrUnavailable) && !ofStore
}

func (a *app) endpointServe() *cobra.Command {
	var background bool
	var s serveFlags
	cmd := &cobra.Command{
		Use:   "serve NAME",
		Short: "Serve an endpoint until Ctrl-C",
		Long: `Serve what is deployed at an endpoint, and follow the changes that others make of it.
Several processes can serve the same endpoint, also on different machines.`,
		Example: `  azml endpoint serve churn
  azml endpoint serve churn --address 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem
  azml endpoint serve churn --metrics-address 127.0.0.1:9464
  azml endpoint serve churn --background`,
		Args:              exactly(1, "the name of an endpoint"),
		ValidArgsFunction: a.completeEndpoints(),
	}
	s.add(cmd)
	cmd.Flags().BoolVar(&background, "background", false, "serve by a process in the background")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if background {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error { return a.serveInBackground(cmd.Context(), ws, args[0], &s) })
		}
		return a.measured(cmd.Context(), s.metrics, func() error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error { return a.serve(cmd.Context(), ws, args[0], &s) })
		})
	}
	return cmd
}

// startInBackground starts a process that serves the endpoint, and waits until
// it answers.
func (a *app) startInBackground(ctx context.Context, ws *workspace.Workspace, name string, s *serveFlags) error {
	p := a.progress()
	defer p.clear()
	p.set("starting a process that serves the endpoint …")
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { sayPhases(watching, ws, name, p) })
	defer watch.Wait()
	defer stop()
	_, err := a.background(ctx, ws, "serve", append([]string{"endpoint", "serve", name}, s.args()...))
	return err
}

// sayPhases shows what those who serve the endpoint are doing, until ctx ends.
func sayPhases(ctx context.Context, ws *workspace.Workspace, name string, p *progress) {
	const every = 200 * time.Millisecond
	for p.out != nil && pause.For(ctx, every) {
		e, err := ws.Endpoints().Get(ctx, name, nil)
		if err != nil { // who starts it will say so
			continue
		}
		for _, host := range e.Details().Hosts {
			if host.Phase != "" {
				p.set("%s …", host.Phase)
			}
		}
	}
}

// serveInBackground is startInBackground, and says where it is served.
func (a *app) serveInBackground(ctx context.Context, ws *workspace.Workspace, name string, s *serveFlags) error {
	if err := a.startInBackground(ctx, ws, name, s); err != nil {
		return err
	}
	e, err := ws.Endpoints().Get(ctx, name, nil)
	if err != nil {
		return err
	}
	return a.showServed(e.Details())
}

// serve serves the endpoint in this process until ctx ends, or somebody stops or
// deletes the endpoint.
func (a *app) serve(ctx context.Context, ws *workspace.Workspace, name string, s *serveFlags) error {
	p := a.progress()
	p.set("starting the endpoint, and building its environment if it is new …")
	e, err := ws.Endpoints().Serve(ctx, name, s.options())
	p.clear()
	if errors.Is(err, azml.ErrUnsupported) {
		return unservedError{err}
	}
	if err != nil {
		return err
	}
	if err := a.report(name); err != nil {
		a.say("azml: %v", err)
	}
	if err := a.showServed(e.Details()); err != nil {
		return err
	}
	if err := e.Wait(ctx); err == nil {
		a.say("The endpoint was stopped or deleted by somebody else.")
		return nil
	}
	a.say("\nThis process serves the endpoint no more; requests under way may finish.")
	return nil // the workspace's closing ends it
}

// showServed says where an endpoint is and how to call it.
func (a *app) showServed(d endpoint.Details) error {
	return a.show(d, func(t *table) {
		t.line(d.Name + " is " + string(d.State) + " at " + d.ScoringURI)
		t.line("Call it:  azml endpoint invoke " + d.Name + " --data '…'")
		switch d.Auth {
		case endpoint.AuthNone:
			t.line("Or:       curl -d '…' " + d.ScoringURI)
		case endpoint.AuthToken:
			t.line("Or:       curl -H \"Authorization: Bearer $(azml endpoint keys " + d.Name + " --token)\" -d '…' " + d.ScoringURI)
		default:
			t.line("Or:       curl -H \"Authorization: Bearer $(azml endpoint keys " + d.Name + " --show=primary)\" -d '…' " + d.ScoringURI)
		}
		if d.GRPC != "" {
			t.line("gRPC:     " + d.GRPC)
		}
		if d.Warning != "" {
			t.line("Warning:  " + d.Warning)
		}
		if d.Current != nil && len(d.Current.Deployments) > 1 {
			t.line("Traffic:  " + trafficOf(d.Current))
		}
	})
}

// trafficOf tells the shares of the deployments.
func trafficOf(r *endpoint.Revision) string {
	text := ""
	for _, d := range r.Deployments {
		if text != "" {
			text += ", "
		}
		text += d.Name + " " + strconv.Itoa(d.Traffic) + " %"
		if d.Mirror > 0 {
			text += fmt.Sprintf(" (and copies of %d %%)", d.Mirror)
		}
	}
	return text
}
