package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/workspace"
)

func (a *app) modelLineage() *cobra.Command {
	return &cobra.Command{
		Use:   "lineage NAME[:VERSION]|NAME@ALIAS",
		Short: "Follow a model back to its data and source, and on to what serves it",
		Long: `Follow a model back to the run that made it, its source, environment and data, and
on to the endpoints that serve it.`,
		Example: `  azml model lineage churn:7
  azml model lineage churn@champion -o json`,
		Args:              exactly(1, "a model as NAME, NAME:VERSION or NAME@ALIAS"),
		ValidArgsFunction: a.completeModels(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				l, err := ws.ModelLineage(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return a.show(l, func(t *table) { drawLineage(t, l) })
			})
		},
	}
}

// drawLineage draws what came before the model above it, and what came of it below.
func drawLineage(t *table, l *workspace.Lineage) {
	for _, d := range l.Datasets {
		t.row("dataset", d.Dataset, d.Relation)
	}
	if l.Snapshot != "" {
		t.row("source", l.Snapshot, gitLine(l.Git))
	}
	if l.Environment != "" {
		t.row("environment", l.Environment)
	}
	if r := l.Run; r != nil {
		state := r.Status
		if state == "" {
			state = "deleted"
		}
		t.row("run", r.ID, "of "+r.Experiment+", "+state)
		if r.Parent != "" {
			t.row("", r.Parent, "its parent")
		}
	} else {
		t.row("files", l.Model.Path, "registered from a machine")
	}
	words := []string{"registered " + ago(l.Model.Created) + " by " + l.Model.CreatedBy}
	if len(l.Aliases) > 0 {
		words = append(words, "alias "+strings.Join(l.Aliases, ", "))
	}
	t.row("model", l.Model.ID, strings.Join(words, "; "))
	for _, e := range l.Endpoints {
		t.row("endpoint", e.Name, e.State+" since "+when(e.Since))
	}
}

// gitLine says in a line where the source was in its repository.
func gitLine(git map[string]string) string {
	var words []string
	for _, key := range []string{"repository_uri", "branch", "commit"} {
		if git[key] != "" {
			words = append(words, git[key])
		}
	}
	if git["dirty"] != "" && git["dirty"] != "False" {
		words = append(words, "with changes that were not committed")
	}
	return strings.Join(words, " ")
}

func (a *app) modelHistory() *cobra.Command {
	var since time.Duration
	cmd := &cobra.Command{
		Use:   "history NAME[:VERSION]",
		Short: "Tell who did what to a model: aliases moved, tags, stages, versions",
		Long: `Tell who did what to a model and when: versions registered and deleted, aliases
moved from one to another, tags and stages. It is read from the audit log.`,
		Example: `  azml model history churn
  azml model history churn:7 --since 168h`,
		Args:              exactly(1, "a model as NAME or NAME:VERSION"),
		ValidArgsFunction: a.completeModels(),
	}
	cmd.Flags().DurationVar(&since, "since", 0, "only what was done this long ago or later, such as 24h")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, version, err := model.ParseID(args[0])
		if err != nil {
			return err
		}
		opts := model.HistoryOptions{Version: version}
		if since > 0 {
			opts.Since = time.Now().Add(-since)
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			changes, err := collect(ws.Models().History(cmd.Context(), name, &opts), 0, func(c model.Change) model.Change { return c })
			if err != nil {
				return err
			}
			return showList(a, changes, "Nothing was done to it.", func(t *table) {
				t.row("WHEN", "WHO", "MODEL", "WHAT", "DETAIL")
				for _, c := range changes {
					t.row(when(c.Time), c.Who, c.Model, c.Op, c.Detail)
				}
			})
		})
	}
	return cmd
}

func (a *app) modelUpdate() *cobra.Command {
	var description, stage string
	var change model.Update
	cmd := &cobra.Command{
		Use:   "update NAME:VERSION",
		Short: "Change tags, properties, description or stage of a version",
		Example: `  azml model update churn:7 --tag approved-by=maria --remove-tag candidate
  azml model update churn:7 --stage Production`,
		Args:              exactly(1, "a model as NAME:VERSION or NAME@ALIAS"),
		ValidArgsFunction: a.completeModels(),
	}
	f := cmd.Flags()
	f.StringVar(&description, "description", "", "description of the version")
	f.StringVar(&stage, "stage", "", "stage: Staging, Production, Archived or None")
	f.StringSliceVar(&change.RemoveTags, "remove-tag", nil, "tag to remove (repeatable)")
	tags, properties := tagsFlag(cmd, "tag", "tag to set"), tagsFlag(cmd, "property", "property to add, which never changes")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		change.Description, change.Stage = changed(cmd, "description", &description), model.Stage(stage)
		change.SetTags, change.AddProperties = tags.values, properties.values
		if change.Description == nil && stage == "" && len(change.SetTags)+len(change.RemoveTags)+len(change.AddProperties) == 0 {
			return usage("say what to change: --tag, --remove-tag, --property, --description or --stage")
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			m, err := ws.Models().GetByID(cmd.Context(), args[0], nil)
			if err != nil {
				return err
			}
			if m, err = m.Update(cmd.Context(), change); err != nil {
				return err
			}
			return a.show(m.Details(), func(t *table) { t.line("Updated model " + m.ID() + ".") })
		})
	}
	return cmd
}

// drawUse tells how a model was made and is to be used.
func drawUse(t *table, d model.Details) {
	if len(d.Datasets) > 0 {
		t.heading("Datasets")
		for _, of := range d.Datasets {
			t.row("  "+of.Relation, of.Dataset)
		}
	}
	if d.SampleInputDataset+d.SampleOutputDataset != "" {
		t.heading("Samples")
		t.row("  input", d.SampleInputDataset)
		t.row("  output", d.SampleOutputDataset)
	}
	if r := d.Resources; r != (model.Resources{}) {
		t.heading("Resources")
		t.row("  cpu", r.CPU)
		t.row("  memory in GB", r.MemoryGB)
		t.row("  gpu", r.GPU)
	}
	if d.Signature == nil {
		return
	}
	t.heading("Signature")
	for _, f := range d.Signature.Inputs {
		t.row("  input", f.Name, fieldType(f))
	}
	for _, f := range d.Signature.Outputs {
		t.row("  output", f.Name, fieldType(f))
	}
}

func fieldType(f model.Field) string {
	text := f.Type
	if f.Shape != nil {
		text += " " + strings.ReplaceAll(fmt.Sprint(f.Shape), "-1", "?")
	}
	if f.Optional {
		text += ", optional"
	}
	return text
}
