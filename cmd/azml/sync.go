package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/mirror"
	"github.com/azml-go/azml/workspace"
)

// The values of --prefer.
const (
	preferSource      = "source"
	preferDestination = "destination"
	preferNewer       = "newer"
)

// syncFlags are the flags of sync.
type syncFlags struct {
	mirror.FollowOptions
	prefer   string
	renumber bool
	follow   bool
}

func (a *app) syncCommand() *cobra.Command {
	var f syncFlags
	cmd := &cobra.Command{
		Use:   "sync SRC DST",
		Short: "Bring what one workspace has into another",
		Long: `Bring environments, experiments, runs with their metrics, logs and files, models,
datasets and datastores of the workspace SRC into the workspace DST. Only what DST lacks is sent, and a sync
that was cut off is simply begun again. What was changed in both is left as it is
and listed, unless --prefer says which side counts; the exit code is 1 then. Runs
that go on are brought as far as they are, and with --follow they, and all that is
new, follow until Ctrl-C. Nothing is deleted without --delete.

SRC and DST are folders or URLs. Two storage accounts of Azure get their credentials by
variables with the account's name, such as AZURE_STORAGE_KEY_CONTOSO. Secrets that DST
lacks are listed, and brought with --secrets; those that it has stay as they are.
Credentials of datastores, tokens, compute targets and endpoints belong to one
workspace and are not brought; datastores without credentials in DST are listed.`,
		Example: `  azml sync ./ml /mnt/team/ml
  azml sync ./ml azblob://account/container/team --run churn_1764000000_1f2e3d4c
  azml sync ./ml /mnt/team/ml --dry-run
  azml sync ./ml 'azblob://account/container/team?vault=contoso-ml' --secrets
  azml sync /mnt/team/ml /backup/ml --follow --delete`,
		Args: exactly(2, "the workspace to read and the workspace to write to"),
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.Experiments, "experiment", "e", nil, "only this experiment with its runs and models (repeatable)")
	flags.StringArrayVar(&f.Runs, "run", nil, "only this run with its parents, children and models (repeatable)")
	flags.StringArrayVar(&f.Models, "model", nil, "only this registered model with its versions (repeatable)")
	flags.BoolVar(&f.Delete, "delete", false, "delete in DST what was deleted in SRC since it came from there")
	flags.BoolVar(&f.Secrets, "secrets", false, "bring the secrets that DST lacks, too")
	flags.BoolVar(&f.DryRun, "dry-run", false, "change nothing, tell what would be done")
	flags.BoolVar(&f.Verify, "verify", false, "compare everything, also what the last sync from here has found to be the same")
	flags.StringVar(&f.prefer, "prefer", "", "which side counts when both have changed something: source, destination or newer")
	flags.BoolVar(&f.renumber, "renumber", false, "bring a version of a model or dataset whose number is another's in DST under the next number")
	flags.BoolVarP(&f.follow, "follow", "f", false, "go on with what changes in SRC until Ctrl-C")
	flags.DurationVar(&f.Every, "every", 0, "how often --follow looks for changes (default: 1s, or 10s where all must be listed)")
	must(cmd.RegisterFlagCompletionFunc("prefer", cobra.FixedCompletions([]string{preferSource, preferDestination, preferNewer}, cobra.ShellCompDirectiveNoFileComp)))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.check(); err != nil {
			return err
		}
		return a.withSide(cmd.Context(), "SRC", args[0], func(src *workspace.Workspace) error {
			for i, name := range f.Experiments {
				e, err := findExperiment(cmd.Context(), src, name)
				if err != nil {
					return err
				}
				f.Experiments[i] = e.Name()
			}
			return a.withSide(cmd.Context(), "DST", args[1], func(dst *workspace.Workspace) error {
				if f.follow {
					return a.followSync(cmd.Context(), dst, src, f)
				}
				return a.syncOnce(cmd.Context(), dst, src, f)
			})
		})
	}
	return cmd
}

// withSide opens one of the two workspaces for the time of fn; when it can't be opened or
// closed, the error says which one.
func (a *app) withSide(ctx context.Context, side, location string, fn func(ws *workspace.Workspace) error) error {
	ws, err := a.openAt(ctx, location)
	if err != nil {
		return fmt.Errorf("%s, %s: %w", side, location, err)
	}
	err = fn(ws)
	var unclosed error
	if closeAfter(ctx, ws, &unclosed); unclosed != nil {
		unclosed = fmt.Errorf("%s, %s: %w", side, location, unclosed)
	}
	return errors.Join(err, unclosed)
}

// check checks the flags and sets what follows from them.
func (f *syncFlags) check() error {
	prefer := func(mirror.Conflict) mirror.Choice { return mirror.Leave }
	switch f.prefer {
	case "":
	case preferSource:
		prefer = mirror.PreferSource
	case preferDestination:
		prefer = mirror.PreferDestination
	case preferNewer:
		prefer = mirror.PreferNewer
	default:
		return usage("--prefer %q: use source, destination or newer", f.prefer)
	}
	if f.follow && f.DryRun {
		return usage("--dry-run and --follow exclude each other")
	}
	if f.Every < 0 || f.Every > 0 && f.Every < 100*time.Millisecond {
		return usage("--every %s: use 100ms or more", f.Every)
	}
	f.Resolve = func(c mirror.Conflict) mirror.Choice {
		if f.renumber && (c.Kind == "model" || c.Kind == "dataset") {
			return mirror.Both
		}
		return prefer(c)
	}
	return nil
}

func (a *app) syncOnce(ctx context.Context, dst, src *workspace.Workspace, f syncFlags) error {
	p := a.progress()
	p.set("comparing %s with %s …", src.Name(), dst.Name())
	f.Progress = func(c mirror.Counts) { p.set("%s", syncLine(c)) }
	report, err := workspace.Sync(ctx, dst, src, &f.Options)
	p.clear()
	if report == nil || err != nil && report.Changes() == 0 && report.Bytes() == 0 {
		return err // and no table of zeros
	}
	if err := errors.Join(err, a.show(report, func(t *table) { drawSync(t, report) })); err != nil {
		return err
	}
	a.saySync(report)
	return troubled(report)
}

// troubled gives an error when something was left undone.
func troubled(r *mirror.Report) error {
	var left []string
	if n := len(r.Open()); n > 0 {
		left = append(left, count(n, "conflict"))
	}
	if n := len(r.Damaged); n > 0 {
		left = append(left, count(n, "thing")+" that can't be read in "+r.Source)
	}
	if len(left) == 0 {
		return nil
	}
	return fmt.Errorf("not everything was brought: %s", strings.Join(left, ", "))
}

func (a *app) followSync(ctx context.Context, dst, src *workspace.Workspace, f syncFlags) error {
	a.say("Bringing what changes in %s into %s until Ctrl-C.", src.Name(), dst.Name())
	f.Passed = func(report *mirror.Report, err error) {
		if err != nil {
			a.say("%s: %v; trying again", clock(), err)
			return
		}
		if report.Changes() > 0 || report.Bytes() > 0 {
			a.say("%s: %s", clock(), syncLine(report.Counts))
		}
		a.saySync(report)
	}
	err := workspace.Follow(ctx, dst, src, &f.FollowOptions)
	if err == nil && ctx.Err() != nil {
		a.say("Stopped; what was brought stays.")
		return exitCode(0)
	}
	return err
}

func clock() string { return time.Now().Format(time.TimeOnly) }

// syncLine says in one line what was done.
func syncLine(c mirror.Counts) string {
	parts := []string{count(c.Changes(), "change")}
	if n := c.Runs.Created + c.Runs.Updated; n > 0 {
		parts = append(parts, count(n, "run"))
	}
	if c.Points > 0 {
		parts = append(parts, count(int(c.Points), "point"))
	}
	return strings.Join(append(parts, size(c.Bytes())), ", ")
}

func drawSync(t *table, r *mirror.Report) {
	t.row("WHAT", "CREATED", "UPDATED", "DELETED", "UNCHANGED")
	for _, row := range []struct {
		what string
		mirror.Tally
	}{
		{"datastores", r.Datastores}, {"datasets", r.Datasets}, {"data files", r.DataFiles}, {"environments", r.Environments}, {"experiments", r.Experiments}, {"runs", r.Runs},
		{"logged models", r.LoggedModels}, {"models", r.Models}, {"versions", r.Versions},
		{"secrets", r.Secrets},
	} {
		t.row(row.what, row.Created, row.Updated, row.Deleted, row.Unchanged)
	}
	verb := "Brought"
	if r.DryRun {
		verb = "To bring"
	}
	t.line(fmt.Sprintf("%s: %s of files, %s of metrics, %s of logs, %s of data. Known to be the same: %d.", verb, size(r.ChunkBytes), size(r.MetricBytes), size(r.LogBytes), size(r.DataBytes), r.Passed))
}

// saySync tells what a person should know beside the numbers.
func (a *app) saySync(r *mirror.Report) {
	if a.output != outputTable {
		return
	}
	for _, c := range r.Conflicts {
		a.say("%s %s: %s", c.Kind, c.Name, c.Reason)
		a.say("  in %s: %s", r.Source, sideLine(c.Source))
		a.say("  in %s: %s", r.Destination, sideLine(c.Destination))
		if c.Choice != mirror.Leave {
			a.say("  decided for: %s", c.Choice)
		}
	}
	for _, d := range r.Damaged {
		a.say("%s %s was not brought: %s", d.Kind, d.Name, d.Problem)
	}
	for _, n := range r.Renumbered {
		a.say("%s %s: number %s is %s in %s", n.Kind, n.Name, n.From, n.To, r.Destination)
	}
	for _, k := range r.Kept {
		a.say("%s %s was deleted in %s and is left as it is", k.Kind, k.Name, k.DeletedIn)
	}
	if len(r.MissingCredentials) > 0 {
		a.say("Datastores without their credentials in %s: %s (azml datastore create NAME … --overwrite)", r.Destination, strings.Join(r.MissingCredentials, ", "))
	}
	if len(r.MissingSecrets) > 0 {
		a.say("Not brought, %s that %s lacks: %s (--secrets brings them)", count(len(r.MissingSecrets), "secret"), r.Destination, strings.Join(r.MissingSecrets, ", "))
	}
	if r.SecretsUnknown != "" {
		a.say("Whether %s lacks secrets is not known: %s", r.Destination, r.SecretsUnknown)
	}
}

func sideLine(s mirror.Side) string {
	var parts []string
	if s.Detail != "" {
		parts = append(parts, s.Detail)
	}
	if !s.Created.IsZero() {
		parts = append(parts, "made "+when(s.Created)+" by "+s.CreatedBy)
	}
	if !s.Modified.IsZero() {
		parts = append(parts, "changed "+when(s.Modified))
	}
	return strings.Join(parts, ", ")
}
