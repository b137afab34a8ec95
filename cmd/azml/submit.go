package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// submission is what the flags of `azml run submit` say.
type submission struct {
	experiment  string
	config      experiment.ScriptRunConfig
	opts        experiment.SubmitOptions
	runconfig   string
	command     bool
	environment environmentFlags
	data        dataFlags
	limits      limitFlags
	distributed distributedFlags
	args        []string // after --
}

func (a *app) runSubmit() *cobra.Command {
	var s submission
	cmd := &cobra.Command{
		Use:   "submit -e EXPERIMENT [SCRIPT] [flags] [-- ARGUMENT...]",
		Short: "Run a script with a snapshot of its folder",
		Long: `Take a snapshot of a folder, make a run, and run a script or a command in it. What
follows "--" are the script's arguments, with --command the whole command. The
script's output is shown until the end; Ctrl-C cancels the run, a second one
leaves at once. With --detach the run goes on in the background and its ID is
printed. With -o json the script's output goes to the standard error and the
run's record to the standard output.

The script finds the path of an input or output in the environment variable of that
name, and in its arguments where DatasetConsumptionConfig:NAME or
DatasetOutputConfig:NAME stands. A table comes as a Parquet file. Outputs are stored,
and registered, when the script has ended with exit code 0.

The exit code is 0 for Completed, 1 for Failed and 130 for Canceled.`,
		Example: `  azml run submit -e churn --script train.py -- --lr 0.1
  azml run submit -e churn -s ./src train.py -r requirements.txt --tag team=risk
  azml run submit -e churn train.py --secret db-password
  azml run submit -e churn --command -- python -m package.train --epochs 3
  azml run submit -e churn train.py --input titanic=titanic:1 --out scores --register scores=titanic-scores:delimited -- --data DatasetConsumptionConfig:titanic
  azml run submit -e churn train.py --compute pool --nodes 2 --processes 2 --framework pytorch --backend gloo
  id=$(azml run submit -e churn train.py --detach)`,
		Args: func(cmd *cobra.Command, args []string) error { return s.take(cmd, args) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.complete(a); err != nil {
				return err
			}
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error { return a.submit(cmd.Context(), ws, &s) })
		},
	}
	s.flags(a, cmd)
	return cmd
}

func (s *submission) flags(a *app, cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&s.experiment, "experiment", "e", "", "experiment of the run, by its name or title, made when it is not there (required)")
	f.StringVarP(&s.config.Source, "source", "s", "", "folder to take a snapshot of (default: the current one)")
	f.StringVar(&s.config.Script, "script", "", "Python script, relative to the source folder")
	f.BoolVar(&s.command, "command", false, `what follows "--" is a command, not arguments of a script`)
	f.StringVarP(&s.runconfig, "runconfig", "c", "", "name of a run configuration file of Azure ML in the source folder; other flags win over it")
	s.environment.add(cmd)
	s.data.add(cmd)
	s.limits.add(cmd)
	s.distributed.add(cmd, &s.config)
	f.StringVar(&s.opts.DisplayName, "name", "", "name of the run for people")
	f.StringVar(&s.opts.Description, "description", "", "description of the run")
	f.StringVar(&s.opts.RunID, "run-id", "", "ID of the run (default: made of experiment, time and chance)")
	f.DurationVar(&s.config.MaxDuration, "max-duration", 0, "end the script after this time, such as 90m (default 720h)")
	f.DurationVar(&s.config.MaxStart, "max-start", 0, "give up when the run has not begun on its target after this time (default 15m, without the time in which the target has no room for it)")
	f.DurationVar(&s.config.MaxPrepare, "max-prepare", 0, "give up when environment and snapshot are not ready after this time (default 2h, without the time in which the target has no room for making an image)")
	f.DurationVar(&s.config.GracePeriod, "grace-period", 0, "time that a script has to end when it is asked to, before it is ended by force (default 10s)")
	f.BoolVar(&s.config.AllowWorkspace, "allow-workspace", false, "let the script's MLflow clients use other experiments and runs, too")
	f.StringSliceVar(&s.config.Secrets, "secret", nil, "name of a secret that the script may have from AZML_SECRETS_URL; several by commas or repeated")
	f.StringVar(&s.config.Compute, "compute", "", "compute target (default: local)")
	f.BoolVarP(&s.opts.Detach, "detach", "d", false, "let the run go on in the background")
	variables, tags := variablesFlag(cmd), tagsFlag(cmd, "tag", "tag of the run")
	cmd.PreRun = func(*cobra.Command, []string) { s.config.Variables, s.opts.Tags = variables.values, tags.values }
	must(cmd.RegisterFlagCompletionFunc("experiment", a.completeExperiments()))
}

// take sorts the arguments: one script, and what follows "--".
func (s *submission) take(cmd *cobra.Command, args []string) error {
	if dash := cmd.ArgsLenAtDash(); dash >= 0 {
		args, s.args = args[:dash], args[dash:]
	}
	switch {
	case len(args) > 1:
		return usage("unexpected argument %q: arguments of the script follow --", args[1])
	case len(args) == 1 && (s.config.Script != "" || s.command):
		return usage("unexpected argument %q: give one script, or a command after --", args[0])
	case len(args) == 1:
		s.config.Script = args[0]
	}
	return nil
}

// complete checks what was given and adds what files say.
func (s *submission) complete(a *app) error {
	switch {
	case s.experiment == "":
		return usage("name the experiment: -e NAME")
	case s.command && s.config.Script != "":
		return usage("give either a script or --command")
	case s.command && len(s.args) == 0:
		return usage(`--command: give the command after "--"`)
	case !s.command && s.config.Script == "" && s.runconfig == "":
		return usage("name what to run: a script, --command, or --runconfig")
	}
	if s.runconfig != "" {
		if err := s.load(a); err != nil {
			return err
		}
	}
	if s.command {
		s.config.Script, s.config.Arguments, s.config.Command = "", nil, s.args
	} else if len(s.args) > 0 {
		s.config.Arguments = s.args
	}
	if err := s.limits.merge(&s.config.Limits); err != nil {
		return err
	}
	if err := s.data.merge(&s.config); err != nil {
		return err
	}
	if err := s.distributed.merge(&s.config); err != nil {
		return err
	}
	if !s.environment.given() {
		return nil
	}
	var err error
	s.config.Environment, err = s.environment.spec()
	return err
}

// load puts the run configuration below what the flags say.
func (s *submission) load(a *app) error {
	source := s.config.Source
	if source == "" {
		source = "."
	}
	loaded, warnings, err := experiment.LoadRunConfig(source, s.runconfig)
	if err != nil {
		return err
	}
	for _, w := range warnings {
		a.say("azml: %s: %s", s.runconfig, w)
	}
	flags := s.config
	s.config = loaded
	if flags.Script != "" {
		s.config.Script, s.config.Command = flags.Script, nil
	}
	if flags.Compute != "" {
		s.config.Compute = flags.Compute
	}
	if flags.MaxDuration != 0 {
		s.config.MaxDuration = flags.MaxDuration
	}
	s.config.MaxRestarts = flags.MaxRestarts
	if flags.Priority != 0 {
		s.config.Priority = flags.Priority
	}
	s.config.MaxStart, s.config.MaxPrepare = flags.MaxStart, flags.MaxPrepare
	s.config.GracePeriod, s.config.AllowWorkspace, s.config.Secrets = flags.GracePeriod, flags.AllowWorkspace, flags.Secrets
	for name, value := range flags.Variables {
		if s.config.Variables == nil {
			s.config.Variables = map[string]string{}
		}
		s.config.Variables[name] = value
	}
	return nil
}

// submit makes the run and stays with it until its end.
func (a *app) submit(ctx context.Context, ws *workspace.Workspace, s *submission) error {
	exp, fresh, err := useExperiment(ctx, ws, s.experiment)
	if err != nil {
		return err
	}
	p := a.progress()
	s.opts.Progress = func(done, total int) { p.set("taking a snapshot: %d of %d files", done, total) }
	r, err := exp.Submit(ctx, s.config, &s.opts)
	p.clear()
	if err != nil {
		if fresh { // nothing is left behind; an experiment with runs of others stays
			err = errors.Join(err, unless(ws.Experiments().Delete(context.WithoutCancel(ctx), s.experiment, nil), azml.ErrConflict))
		}
		return err
	}
	if s.config.Priority != 0 && r.Status() != run.StatusQueued {
		a.say("Priority %d changes nothing: it is for runs that wait for a cluster, and compute target %s is none.", s.config.Priority, r.Details().Target)
	}
	if s.opts.Detach {
		a.say("The run goes on in the background. Look at it: azml run watch %s", r.ID())
		return a.show(r.Details(), func(t *table) { t.line(r.ID()) })
	}
	a.say("Run %s", r.ID())
	return a.follow(ctx, r)
}

// follow shows the script's output until the run has ended. When ctx ends, the
// run is canceled and still waited for.
func (a *app) follow(ctx context.Context, r *run.Run) error {
	staying := context.WithoutCancel(ctx)
	stop := context.AfterFunc(ctx, func() {
		a.say("\nCanceling the run; press Ctrl-C again to leave at once.")
		if err := r.Cancel(staying, &run.CancelOptions{Reason: "interrupted"}); err != nil && !errors.Is(err, azml.ErrConflict) {
			a.say("azml: %v", err)
		}
	})
	defer stop()
	output := &lastByte{Writer: a.stdout}
	if a.output != outputTable {
		output.Writer = a.stderr
	}
	p := a.progress()
	err := r.Wait(staying, &run.WaitOptions{Output: output, Progress: func(d run.Details) { p.status(d) }})
	p.clear()
	if output.last != 0 && output.last != '\n' {
		a.say("") // what is said next begins a line of its own
	}
	if err := r.Refresh(staying); err != nil {
		return err
	}
	if !r.Status().Terminal() {
		return err
	}
	return a.conclude(r)
}

// lastByte remembers the last byte that was written.
type lastByte struct {
	io.Writer
	last byte
}

// Write implements io.Writer.
func (w *lastByte) Write(p []byte) (int, error) {
	if len(p) > 0 {
		w.last = p[len(p)-1]
	}
	return w.Writer.Write(p)
}

// conclude tells how the run ended and shows its record where that is wanted.
func (a *app) conclude(r *run.Run) error {
	d := r.Details()
	ended := a.tell(d)
	if a.output != outputTable {
		if err := a.show(d, nil); err != nil {
			return err
		}
	}
	return ended
}

// tell says how the run ended and what can be done next, and gives the exit
// code.
func (a *app) tell(d run.Details) error {
	for _, w := range d.Warnings {
		a.say("Warning: %s", w)
	}
	a.say("%s after %s", d.Status, took(d.Created, d.Ended))
	code := 0
	switch d.Status {
	case run.StatusFailed:
		if d.Error != nil {
			a.say("azml: %s", d.Error.Message)
		}
		a.say("Look closer: azml run show %s", d.RunID)
		code = exitError
	case run.StatusCanceled:
		code = exitCanceled
	default:
		a.say("Results: azml run show %s", d.RunID)
	}
	if code != 0 {
		return exitCode(code)
	}
	return nil
}
