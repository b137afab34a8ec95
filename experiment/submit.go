package experiment

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/rundata"
	"github.com/azml-go/azml/run"
)

// ScriptRunConfig says what to run, where and in what environment. Either
// Script or Command is required; everything else has a default.
type ScriptRunConfig struct {
	// Source is the folder that goes to the compute target as a snapshot, the
	// current folder when empty. What .amlignore files in it name is left out,
	// or what .gitignore files name when there is no .amlignore at its top.
	Source string
	// Script is a Python script, relative to Source.
	Script string
	// Arguments follow the script.
	Arguments []string
	// Command is a program and its arguments, run instead of a script in the
	// snapshot's folder. "python" is the environment's interpreter.
	Command []string
	// Compute is the name of the compute target, "local" when empty.
	Compute string
	// Environment is what the script needs: a reference to a registered
	// environment, or a spec, which is registered. The zero Spec is the
	// target's Python with nothing installed.
	Environment environment.Spec
	// Variables are environment variables for the script; they win over the
	// environment's.
	Variables map[string]string
	// MaxDuration ends a script that takes longer, 30 days when zero. It counts
	// in whole seconds, at least one.
	MaxDuration time.Duration
	// MaxStart is how long it may take on another target than this machine until
	// its agent, once it is started, has taken the run over. When zero it is 15 minutes,
	// to which no time counts in which the target has no room for the run: that lasts, in a
	// queue for example, until there is some or the run is canceled. It counts in whole
	// seconds.
	MaxStart time.Duration
	// MaxPrepare is how long environment and snapshot, and before them the
	// environment's image where there is one, may take to be ready, 2 hours
	// when zero. It counts in whole seconds.
	MaxPrepare time.Duration
	// GracePeriod is the time that a script has to end after it was asked to,
	// before it is ended by force; 10 seconds when zero.
	GracePeriod time.Duration
	// Limits bound what the run may use of its target, each by itself instead of the
	// target's own. A target that can't hold it to one, or has less, refuses it.
	Limits backend.Limits
	// AllowWorkspace lets the script's MLflow clients use all experiments and
	// runs of the workspace. Without it they use the run, the runs that they
	// make, which are its children, and the registry of models.
	AllowWorkspace bool
	// Inputs are the datasets that the script gets, by names that are environment
	// variables with what it finds there: a path, or with dataset.ModeDirect the
	// dataset's ID. In arguments, "DatasetConsumptionConfig:<name>" stands for that.
	// AZUREML_DATASET_ENVIRONMENT_VARS lists them as "name:mode" by commas. A run has
	// at most 200.
	Inputs map[string]dataset.Input
	// Outputs are folders that the script writes files into, by names that are
	// environment variables with their paths; "DatasetOutputConfig:<name>" stands for
	// one in arguments. They are stored, and registered where that is asked for, when
	// the script has ended with exit code 0. AZUREML_DATASET_FILE_OUTPUTS lists them
	// by semicolons. A run has at most 20.
	Outputs map[string]dataset.Output
	// Distributed runs the script as several processes, on one node or several: an
	// Mpi, a PyTorch or a TensorFlow. Nil runs it as one.
	Distributed Distributed
	// MaxRestarts is how often all processes of a distributed run are started anew
	// when one of them fails.
	MaxRestarts int
	// Priority puts the run before those with a lower one that wait for the same
	// cluster; other targets don't look at it.
	Priority int
	// Secrets are the names of the workspace's secrets that the script may have.
	// It gets their values, as they are when it starts, from this machine at
	// AZML_SECRETS_URL and the name, for the token AZML_SECRETS_TOKEN, and nobody
	// else does. They are masked in the output, logs, metrics and errors of the
	// run that are stored; files of outputs/ are stored as they are.
	Secrets []string
}

// The limits of a run's phases where nothing else is said. That of the script is
// Azure ML's.
const (
	defaultMaxDuration = 30 * 24 * time.Hour
	defaultMaxStart    = 15 * time.Minute
	defaultMaxPrepare  = 2 * time.Hour
)

// SubmitOptions are the options of Experiment.Submit.
type SubmitOptions struct {
	// RunID is the run's ID: 1 to 256 letters, digits, "_" or "-". When empty
	// it is made of the experiment's name, the time and a random part.
	RunID string
	// DisplayName is a name for people.
	DisplayName string
	// Description is free text of at most 5,000 characters.
	Description string
	// Tags are free labels that can change.
	Tags map[string]string
	// Properties are labels that never change.
	Properties map[string]string
	// Parent is the ID of the run that this is a child of, of the same
	// experiment.
	Parent string
	// Detach lets the run outlive this process, whatever becomes of it: a process of
	// its own answers for the run. Submit returns when that one has taken over: where it
	// is yet to make an image, or to start the run's agent, what goes wrong is the run's. The
	// workspace must be one that another process can open.
	Detach bool
	// Progress, when not nil, is called with the number of files of the source
	// folder that are stored and their number in all.
	Progress func(done, total int)
}

// Submit checks everything, takes a snapshot of the source folder, creates the
// run and starts it; it returns as soon as the run is on its way. On the local
// target the script runs below this process: closing the workspace waits for
// it, and the run fails when the process dies. On another target a program of
// azml drives it there, which works on when this process dies and catches up when
// any process waits for the run. With Detach it outlives this process in any case.
// On a cluster it waits until a scheduler gives it nodes; no process of the
// submitter's has to be there.
// Nothing is created when something is wrong. Errors: ErrInvalid and ErrNotFound naming what to
// change; ErrExists when RunID is taken; ErrConflict when the experiment is
// archived or the parent has ended.
func (e *Experiment) Submit(ctx context.Context, config ScriptRunConfig, opts *SubmitOptions) (_ *run.Run, err error) {
	defer e.h.Operation(&ctx, &err, "submit run to", kind, e.Name())()
	if opts == nil {
		opts = &SubmitOptions{}
	}
	draft, way, err := e.prepare(ctx, &config, opts, func(way) error { return nil })
	if err != nil {
		return nil, err
	}
	if way.queued {
		stored, err := e.enqueue(ctx, draft)
		if err != nil {
			return nil, err
		}
		return run.Wrap(e.h, stored), nil
	}
	stored, err := history.Create(ctx, e.h, draft)
	if err != nil {
		return nil, err
	}
	if err := e.launch(ctx, way, stored); err != nil {
		return nil, e.notLaunched(ctx, draft.ID, err)
	}
	return run.Wrap(e.h, stored), nil
}

// prepare checks and completes the configuration, stores its snapshot, and gives the
// record of a run that can be created. No snapshot is stored when may refuses.
func (e *Experiment) prepare(ctx context.Context, config *ScriptRunConfig, opts *SubmitOptions, may func(way) error) (record.Run, way, error) {
	if config.Source == "" {
		config.Source = "."
	}
	if err := config.check(); err != nil {
		return record.Run{}, way{}, err
	}
	var required []string
	if config.Script != "" {
		required = []string{config.Script}
	}
	plan, err := e.scan(ctx, config.Source, required...)
	if err != nil {
		return record.Run{}, way{}, err
	}
	draft, w, err := e.draft(ctx, *config, opts)
	if err == nil {
		err = may(w)
	}
	if err != nil {
		return record.Run{}, way{}, err
	}
	s, err := e.takeSnapshot(ctx, plan, opts.Progress)
	if err != nil {
		return record.Run{}, way{}, err
	}
	s.fill(&draft)
	return draft, w, nil
}

// drive runs the agent for a run on the local target. What went wrong is in
// the run's record; only what could not be written there is logged.
func (e *Experiment) drive(ctx context.Context, run core.Stored[record.Run]) {
	if err := agent.Drive(ctx, e.h, run, e.track, e.bind); err != nil {
		e.h.Logger().Info("a run did not complete", "run", run.Value.ID, "error", err)
	}
}

// bind gives scripts their data.
func (e *Experiment) bind(ctx context.Context, run record.Run, at agent.DataPlace) (*agent.Data, error) {
	return rundata.Bind(ctx, e.h, run, at)
}

// draft makes the run's record from what was checked and looked up.
func (e *Experiment) draft(ctx context.Context, config ScriptRunConfig, opts *SubmitOptions) (record.Run, way, error) {
	if err := e.active(ctx); err != nil {
		return record.Run{}, way{}, err
	}
	target, err := compute.Lookup(ctx, e.h, config.Compute)
	if err != nil {
		return record.Run{}, way{}, err
	}
	owner := e.h.Owner()
	draft := record.Run{ID: opts.RunID, Experiment: e.Name(), Type: run.TypeScript, DisplayName: opts.DisplayName,
		Description: opts.Description, Tags: maps.Clone(opts.Tags), Properties: maps.Clone(opts.Properties),
		Status: record.Starting, Reason: "submitted", Owner: &owner,
		Definition: &record.Definition{Script: config.Script, Arguments: slices.Clone(config.Arguments), Command: slices.Clone(config.Command),
			Compute: target.Name(), ComputeType: string(target.Type()), Variables: maps.Clone(config.Variables), MaxDuration: int64(config.MaxDuration.Seconds()), GracePeriod: config.GracePeriod.Seconds(),
			MaxStart: int64(config.maxStart().Seconds()), WaitsForRoom: config.MaxStart == 0, MaxPrepare: int64(config.MaxPrepare.Seconds()),
			Limits: record.Limits(config.Limits), Priority: config.Priority, AllowWorkspace: config.AllowWorkspace, Secrets: slices.Clone(config.Secrets)}}
	if draft.ID == "" {
		draft.ID = e.newRunID()
	}
	if opts.Parent != "" {
		parent, err := run.NewClient(e.h).Get(ctx, opts.Parent, nil)
		if err != nil {
			return record.Run{}, way{}, err
		}
		if parent.Status().Terminal() {
			return record.Run{}, way{}, fmt.Errorf("%w: the parent run %s is %s", azml.ErrConflict, opts.Parent, parent.Status())
		}
		if parent.ExperimentName() != e.Name() {
			return record.Run{}, way{}, fmt.Errorf("%w: the parent run %s is of experiment %q: submit to that one", azml.ErrInvalid, opts.Parent, parent.ExperimentName())
		}
		draft.Parent, draft.Root = opts.Parent, parent.Details().RootRunID
	}
	if err := run.CheckDraft(&draft); err != nil {
		return record.Run{}, way{}, err
	}
	if _, err := history.Get(ctx, e.h, draft.ID); err == nil {
		return record.Run{}, way{}, fmt.Errorf("%w: run %s: choose another ID or none", azml.ErrExists, draft.ID)
	} else if !errors.Is(err, azml.ErrNotFound) {
		return record.Run{}, way{}, err
	}
	if err := e.checkSecrets(ctx, config.Secrets); err != nil {
		return record.Run{}, way{}, err
	}
	if draft.Definition.Nodes, draft.Definition.Distributed, err = config.distributed(target); err != nil {
		return record.Run{}, way{}, err
	}
	w, a, err := e.wayTo(ctx, target, opts.Detach, config.Limits)
	if err != nil {
		return record.Run{}, way{}, err
	}
	draft.Agent = a
	if w.queued {
		draft.Status, draft.Owner, draft.Definition.Cluster = record.Queued, nil, true
		draft.WaitsFor = "nodes of " + target.Name() + ", which its scheduler gives (azml scheduler is one)"
	}
	if draft.Definition.Inputs, draft.Definition.Outputs, err = rundata.Plan(ctx, e.h, config.Inputs, config.Outputs); err != nil {
		return record.Run{}, way{}, err
	}
	// Last, for it may register the environment: nothing is created when
	// something else is wrong, but for definitions of datasets that have no name.
	env, err := environment.Resolve(ctx, e.h, config.Environment, target.Type() == compute.TypeLocal)
	if err != nil {
		return record.Run{}, way{}, err
	}
	draft.Definition.Environment = record.EnvironmentRef{Name: env.Name(), Version: env.Version(), Hash: env.Hash()}
	return draft, w, nil
}

// newRunID makes an ID as Azure ML does: the experiment's name, the Unix time
// and eight random hexadecimal digits.
func (e *Experiment) newRunID() string {
	const longestName = 200
	name := e.Name()
	return fmt.Sprintf("%s_%d_%s", name[:min(len(name), longestName)], e.h.Now().Unix(), core.NewID(4))
}

// checkProgram tells what is wrong with script, arguments, command and times.
func (c *ScriptRunConfig) checkProgram() error {
	if (c.Script == "") == (len(c.Command) == 0) {
		return fmt.Errorf("%w: give either a script or a command", azml.ErrInvalid)
	}
	if len(c.Command) > 0 && len(c.Arguments) > 0 {
		return fmt.Errorf("%w: arguments are for a script; put them into the command", azml.ErrInvalid)
	}
	if len(c.Command) > 0 && c.Command[0] == "" {
		return fmt.Errorf("%w: the command's program is empty", azml.ErrInvalid)
	}
	for _, s := range slices.Concat(c.Command, c.Arguments) {
		if strings.Contains(s, "\x00") || !utf8.ValidString(s) {
			return fmt.Errorf("%w: argument %q holds a NUL character or is not UTF-8", azml.ErrInvalid, s)
		}
	}
	for _, limit := range []time.Duration{c.MaxDuration, c.MaxStart, c.MaxPrepare} {
		if limit < 0 {
			return fmt.Errorf("%w: time limit %s is negative", azml.ErrInvalid, limit)
		}
	}
	if c.GracePeriod < 0 {
		return fmt.Errorf("%w: grace period %s is negative", azml.ErrInvalid, c.GracePeriod)
	}
	if err := errors.Join(c.checkDistributed(), environment.CheckVariables(c.Variables), c.Limits.Validate()); err != nil {
		return err
	}
	return rundata.Check(c.Inputs, c.Outputs, slices.Concat(c.Command, c.Arguments), c.Variables)
}

// check tells what is wrong with the configuration itself, and fills in
// defaults.
func (c *ScriptRunConfig) check() error {
	if err := c.checkProgram(); err != nil {
		return err
	}
	for limit, standard := range map[*time.Duration]time.Duration{&c.MaxDuration: defaultMaxDuration, &c.MaxPrepare: defaultMaxPrepare} {
		if *limit == 0 {
			*limit = standard
		}
		*limit = max(*limit, time.Second)
	}
	return c.checkSource()
}

// maxStart is MaxStart, or the standard where that is zero, which stays so: it means more.
func (c *ScriptRunConfig) maxStart() time.Duration {
	if c.MaxStart == 0 {
		return defaultMaxStart
	}
	return max(c.MaxStart, time.Second)
}

// checkSource looks for the source folder and the script in it.
func (c *ScriptRunConfig) checkSource() error {
	info, err := os.Stat(c.Source)
	if err != nil {
		return fmt.Errorf("source folder: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%w: source %q is no folder", azml.ErrInvalid, c.Source)
	}
	if c.Script == "" {
		return nil
	}
	if !filepath.IsLocal(filepath.FromSlash(c.Script)) {
		return fmt.Errorf("%w: script %q: give a path relative to the source folder %q, inside it", azml.ErrInvalid, c.Script, c.Source)
	}
	info, err = os.Stat(filepath.Join(c.Source, filepath.FromSlash(c.Script)))
	if err != nil {
		return fmt.Errorf("script %q in source folder %q: %w", c.Script, c.Source, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: script %q in source folder %q is no file", azml.ErrInvalid, c.Script, c.Source)
	}
	c.Script = path.Clean(filepath.ToSlash(c.Script))
	return nil
}
