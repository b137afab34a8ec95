package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/mlflow"
	"github.com/azml-go/azml/workspace"
)

// mlflowLogin takes what MLflow's own client takes from the environment.
func mlflowLogin() mlflow.Login {
	return mlflow.Login{Token: os.Getenv("MLFLOW_TRACKING_TOKEN"), User: os.Getenv("MLFLOW_TRACKING_USERNAME"), Password: os.Getenv("MLFLOW_TRACKING_PASSWORD")}
}

func (a *app) importMLflow() *cobra.Command {
	var opts mlflow.ImportOptions
	cmd := &cobra.Command{
		Use:   "mlflow URI",
		Short: "Carry over experiments and runs from MLflow",
		Long: `Carry over experiments, runs with all values of their metrics, and artifacts from an
MLflow server, its SQLite database or the folder of its file store. IDs and times
are kept, and nothing is changed there. Called again, it adds what is missing and
lists what differs. A server is shown MLFLOW_TRACKING_TOKEN, or
MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.`,
		Example: `  azml import mlflow http://localhost:5000
  azml import mlflow sqlite:///mlflow.db --artifacts /srv/mlartifacts
  azml import mlflow mlruns --experiment churn --dry-run`,
		Args: exactly(1, "the URL of a server, a database file or the folder of a file store"),
	}
	cmd.Flags().StringArrayVarP(&opts.Experiments, "experiment", "e", nil, "only the experiment of this name (may be given several times)")
	cmd.Flags().StringVar(&opts.Artifacts, "artifacts", "", "folder with the artifacts of a database or file store that has them elsewhere")
	cmd.Flags().BoolVar(&opts.Verify, "verify", false, "compare all that was imported before, also runs that look the same")
	cmd.Flags().BoolVar(&opts.DryRun, "dry-run", false, "change nothing, tell what would be done")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error { return a.runImportMLflow(cmd.Context(), ws, args[0], opts) })
	}
	return cmd
}

func (a *app) runImportMLflow(ctx context.Context, ws *workspace.Workspace, uri string, opts mlflow.ImportOptions) error {
	p := a.progress()
	opts.Login = mlflowLogin()
	opts.Progress = func(d mlflow.Imported) { p.set("%s", carriedLine(d.Carried)) }
	done, err := mlflow.Import(ctx, ws, uri, &opts)
	p.clear()
	if done == nil {
		return err
	}
	return errors.Join(err, a.showCarried(done, done.Carried))
}

func (a *app) exportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "export",
		Short:   "Carry over what is in the workspace to other tools",
		Example: "  azml export mlflow http://localhost:5000",
	}
	cmd.AddCommand(a.exportMLflow())
	return cmd
}

func (a *app) exportMLflow() *cobra.Command {
	var opts mlflow.ExportOptions
	cmd := &cobra.Command{
		Use:   "mlflow URL",
		Short: "Carry over experiments, runs and models to an MLflow server",
		Long: `Carry over experiments, runs with the numbers they have logged and their files, and
registered models to a running MLflow server. Called again, it adds what is missing
and lists what differs. The server is shown MLFLOW_TRACKING_TOKEN, or
MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.`,
		Example: "  azml export mlflow http://localhost:5000 --experiment churn",
		Args:    exactly(1, "the URL of a server"),
	}
	cmd.Flags().StringArrayVarP(&opts.Experiments, "experiment", "e", nil, "only the experiment of this name (may be given several times)")
	cmd.Flags().BoolVar(&opts.Verify, "verify", false, "compare all that was exported before, also runs that look the same")
	cmd.Flags().BoolVar(&opts.DryRun, "dry-run", false, "change nothing, tell what would be done")
	must(cmd.RegisterFlagCompletionFunc("experiment", a.completeExperiments()))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			p := a.progress()
			opts.Login = mlflowLogin()
			opts.Progress = func(d mlflow.Exported) { p.set("%s", carriedLine(d.Carried)) }
			done, err := mlflow.Export(cmd.Context(), ws, args[0], &opts)
			p.clear()
			if done == nil {
				return err
			}
			return errors.Join(err, a.showCarried(done, done.Carried))
		})
	}
	return cmd
}

// carriedLine says how far an import or export is.
func carriedLine(d mlflow.Carried) string {
	runs := d.Runs.Created + d.Runs.Completed + d.Runs.Unchanged
	return fmt.Sprintf("%s, %d values, %s in %s", count(int(runs), "run"), d.Values, size(d.Bytes), count(int(d.Files), "file"))
}

// showCarried shows what was done, as the whole report for programs.
func (a *app) showCarried(report any, done mlflow.Carried) error {
	err := a.show(report, func(t *table) {
		t.row("WHAT", "CREATED", "COMPLETED", "UNCHANGED")
		for _, row := range []struct {
			what string
			mlflow.Tally
		}{
			{"experiments", done.Experiments}, {"runs", done.Runs}, {"logged models", done.LoggedModels}, {"registered models", done.Models}, {"versions", done.Versions},
		} {
			t.row(row.what, row.Created, row.Completed, row.Unchanged)
		}
		t.row("values", done.Values)
		t.row("files", done.Files)
	})
	if a.output == outputTable {
		a.sayCarried(done)
	}
	return err
}

// sayCarried tells what was left as it is and what was not carried over, with the
// first few names.
func (a *app) sayCarried(done mlflow.Carried) {
	for _, c := range done.Conflicts {
		a.say("%s %s was left as it is: %s", c.Kind, c.Name, c.Reason)
	}
	if done.MoreConflicts > 0 {
		a.say("and %d more that differ", done.MoreConflicts)
	}
	for _, reason := range slices.Sorted(maps.Keys(done.LeftOut)) {
		const few = 3
		names := done.LeftOutNames[reason]
		of := ""
		if len(names) > 0 {
			of = ": " + strings.Join(names[:min(few, len(names))], ", ")
		}
		if len(names) > few {
			of += ", …"
		}
		a.say("left out: %d × %s%s", done.LeftOut[reason], reason, of)
	}
}
