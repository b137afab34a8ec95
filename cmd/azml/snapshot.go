package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

func (a *app) snapshotCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "snapshot",
		Short: "Look at what a submit takes along, and at the source folders of runs",
		Example: `  azml snapshot plan
  azml snapshot restore churn_1764000000_1f2e3d4c /tmp/source`,
	}
	cmd.AddCommand(a.snapshotPlan(), a.snapshotRestore(), a.snapshotDiff())
	return cmd
}

func (a *app) snapshotPlan() *cobra.Command {
	var files bool
	var opts experiment.PlanOptions
	cmd := &cobra.Command{
		Use:   "plan [DIR]",
		Short: "List what a submit from a folder would take along, and what not and why",
		Long: `List what a submit from a folder would take along, and what not and why. Nothing is
stored and no workspace is needed. The lines proposed for an ignore file belong
into .amlignore, or .gitignore when there is no .amlignore, at the top of the
folder.`,
		Example: "  azml snapshot plan ./src --files",
		Args:    between(0, 1, "one folder"),
	}
	cmd.Flags().BoolVar(&files, "files", false, "list every file, too")
	cmd.Flags().IntVar(&opts.Largest, "largest", 0, "how many of the largest files and folders to list (default 10)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir := append(args, ".")[0]
		plan, err := experiment.PlanSnapshot(cmd.Context(), dir, &opts)
		if err != nil {
			return err
		}
		plan.Files, plan.Ignored, plan.Skipped = orEmpty(plan.Files), orEmpty(plan.Ignored), orEmpty(plan.Skipped)
		plan.Largest, plan.Warnings = orEmpty(plan.Largest), orEmpty(plan.Warnings)
		return a.show(plan, func(t *table) { drawPlan(t, plan, files) })
	}
	return cmd
}

func drawPlan(t *table, plan *experiment.SnapshotPlan, files bool) {
	t.line("A snapshot of " + plan.Dir + " holds " + count(len(plan.Files), "file") + ", " + size(plan.Size) + ".")
	if files {
		t.heading("Files")
		for _, f := range plan.Files {
			t.row("  "+f.Path, size(f.Size))
		}
	}
	if len(plan.Largest) > 0 {
		t.heading("Largest")
		t.row("  PATH", "SIZE", "FILES", "LEAVE OUT BY THE LINE")
		for _, o := range plan.Largest {
			t.row("  "+o.Path, size(o.Size), o.Files, o.IgnoreLine)
		}
	}
	for _, part := range []struct {
		heading string
		left    []experiment.LeftOut
	}{{"Ignored", plan.Ignored}, {"Can't be taken", plan.Skipped}} {
		if len(part.left) == 0 {
			continue
		}
		t.heading(part.heading)
		for _, l := range part.left {
			t.row("  "+l.Path, l.Reason)
		}
	}
	if len(plan.Warnings) > 0 {
		t.heading("Warnings")
		for _, w := range plan.Warnings {
			t.row("  " + w)
		}
	}
}

// restored says what was written where.
type restored struct {
	// Run is the run's ID.
	Run string `json:"runId"`
	// Snapshot is the ID of its snapshot.
	Snapshot string `json:"snapshotId"`
	// Dir is the folder it was written into.
	Dir string `json:"dir"`
}

func (a *app) snapshotRestore() *cobra.Command {
	var overwrite bool
	cmd := &cobra.Command{
		Use:               "restore RUN DIR",
		Short:             "Write the source folder of a run as it was when submitted",
		Example:           "  azml snapshot restore churn_1764000000_1f2e3d4c /tmp/source",
		Args:              exactly(2, "the ID of a run and a folder"),
		ValidArgsFunction: a.completeRuns(1),
	}
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "replace files that are there")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withRun(cmd.Context(), args[0], func(r *run.Run) error {
			p := a.progress()
			err := r.RestoreSnapshot(cmd.Context(), args[1], &run.DownloadOptions{Overwrite: overwrite, Progress: p.bytes("restoring")})
			p.clear()
			if err != nil {
				return overwriteHint(err)
			}
			return a.show(restored{r.ID(), r.SnapshotID(), args[1]}, func(t *table) { t.line("Wrote the source of " + r.ID() + " into " + args[1]) })
		})
	}
	return cmd
}

func (a *app) snapshotDiff() *cobra.Command {
	return &cobra.Command{
		Use:               "diff RUN1 RUN2",
		Short:             "List the source files that differ between two runs",
		Example:           "  azml snapshot diff churn_1764000000_1f2e3d4c churn_1764000100_5a6b7c8d",
		Args:              exactly(2, "the IDs of two runs"),
		ValidArgsFunction: a.completeRuns(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				diff, err := diffSnapshots(cmd.Context(), ws, args[0], args[1])
				if err != nil {
					return err
				}
				return a.showDiff(diff)
			})
		},
	}
}

func diffSnapshots(ctx context.Context, ws *workspace.Workspace, first, second string) (*run.SnapshotDiff, error) {
	r1, err := ws.Runs().Get(ctx, first, nil)
	if err != nil {
		return nil, err
	}
	r2, err := ws.Runs().Get(ctx, second, nil)
	if err != nil {
		return nil, err
	}
	return r1.DiffSnapshots(ctx, r2)
}

func (a *app) showDiff(diff *run.SnapshotDiff) error {
	diff.Added, diff.Removed, diff.Changed = orEmpty(diff.Added), orEmpty(diff.Removed), orEmpty(diff.Changed)
	if a.output == outputTable && len(diff.Added)+len(diff.Removed)+len(diff.Changed) == 0 {
		a.say("The source folders are the same.")
		return nil
	}
	return a.show(diff, func(t *table) {
		for _, part := range []struct {
			sign  string
			files []run.File
		}{{"+", diff.Added}, {"-", diff.Removed}, {"~", diff.Changed}} {
			for _, f := range part.files {
				t.row(part.sign+" "+f.Path, size(f.Size))
			}
		}
	})
}
