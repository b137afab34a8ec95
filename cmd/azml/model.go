package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/workspace"
)

func (a *app) modelCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "model",
		Short: "Register, list, change, download and delete models, and follow where they come from",
		Example: `  azml model register --name churn --path model.json
  azml model list
  azml model alias set churn:7 champion`,
	}
	cmd.AddCommand(a.modelRegister(), a.modelList(), a.modelShow(), a.modelUpdate(), a.modelLineage(), a.modelHistory(),
		a.modelDownload(), a.modelDelete(), a.modelAlias(), a.modelServe())
	return cmd
}

func (a *app) modelList() *cobra.Command {
	var opts model.ListOptions
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List models by name, the newest versions first, or search them",
		Long:  "List models by name, the newest versions first, or search them by a filter.\n\n" + filterHelp("model"),
		Example: `  azml model list --latest
  azml model list --name churn --tag stage=candidate
  azml model list --filter "name = 'churn' and size > 1e6" --order-by "creation_timestamp desc"`,
		Args: noArgs,
	}
	search := searchFlags(cmd)
	cmd.Flags().StringVar(&opts.Name, "name", "", "only versions of this model")
	cmd.Flags().StringVar(&opts.RunID, "run", "", "only models registered from this run")
	cmd.Flags().StringVar(&opts.Framework, "framework", "", "only models of this framework")
	cmd.Flags().StringVar(&opts.Dataset, "dataset", "", "only models made with this dataset, NAME:VERSION")
	cmd.MarkFlagsMutuallyExclusive("dataset", "filter")
	cmd.MarkFlagsMutuallyExclusive("dataset", "order-by")
	cmd.Flags().BoolVar(&opts.Latest, "latest", false, "only the latest version of each model")
	cmd.MarkFlagsMutuallyExclusive("latest", "filter")
	cmd.MarkFlagsMutuallyExclusive("latest", "order-by")
	tags, properties := filterFlag(cmd, "tag", "only models with this tag"), filterFlag(cmd, "property", "only models with this property")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		opts.Tags, opts.Properties = tags.values, properties.values
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			list := ws.Models().List(cmd.Context(), &opts)
			if search.given() {
				list = ws.Models().Search(cmd.Context(), search.with(modelFilter(&opts)), &model.SearchOptions{OrderBy: search.orderBy})
			}
			found, err := collect(list, 0, (*model.Model).Details)
			if err != nil {
				return err
			}
			return showList(a, found, "No models.", func(t *table) {
				t.row("MODEL", "CREATED", "SIZE", "FILES", "FRAMEWORK", "RUN", "TAGS")
				for _, d := range found {
					t.row(d.ID, ago(d.Created), size(d.Size), d.FileCount, d.Framework, d.RunID, tagCell(d.Tags))
				}
			})
		})
	}
	return cmd
}

// modelFilter says in a filter what the options say.
func modelFilter(o *model.ListOptions) string {
	var terms []string
	for _, pair := range [][2]string{{"name", o.Name}, {"run_id", o.RunID}, {"framework", o.Framework}} {
		if pair[1] != "" {
			terms = append(terms, pair[0]+" = "+quoted(pair[1], "'"))
		}
	}
	return both(append(terms, hasTags(o.Tags), hasLabels("properties", o.Properties))...)
}

// modelView is what `azml model show` gives.
type modelView struct {
	model.Details
	// Aliases are the aliases that point to it.
	Aliases []string `json:"aliases"`
	// Files are the model's files.
	Files []model.File `json:"files"`
	// Endpoints are the names of the endpoints that are made to serve it.
	Endpoints []string `json:"endpoints"`
}

func (a *app) modelShow() *cobra.Command {
	return &cobra.Command{
		Use:               "show NAME[:VERSION]|NAME@ALIAS",
		Short:             "Show a model with its lineage and files",
		Example:           "  azml model show churn:7",
		Args:              exactly(1, "a model as NAME, NAME:VERSION or NAME@ALIAS"),
		ValidArgsFunction: a.completeModels(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				view, err := viewModel(cmd.Context(), ws, args[0])
				if err != nil {
					return err
				}
				called, err := titlesOf(cmd.Context(), ws, view.Experiment)
				if err != nil {
					return err
				}
				return a.show(view, func(t *table) { view.draw(t, called) })
			})
		},
	}
}

func viewModel(ctx context.Context, ws *workspace.Workspace, id string) (*modelView, error) {
	m, err := ws.Models().GetByID(ctx, id, nil)
	if err != nil {
		return nil, err
	}
	view := &modelView{Details: m.Details(), Aliases: []string{}, Files: []model.File{}}
	registered, err := ws.Models().GetRegistered(ctx, m.Name(), nil)
	if err != nil {
		return nil, err
	}
	for _, alias := range sortedAliases(registered.Details()) {
		if alias.Version == m.Version() {
			view.Aliases = append(view.Aliases, alias.Alias)
		}
	}
	if view.FileCount > 0 {
		files, err := m.Files(ctx)
		if err != nil {
			return nil, err
		}
		view.Files = orEmpty(files)
	}
	list := ws.Endpoints().List(ctx, &endpoint.ListOptions{ModelID: m.ID()})
	view.Endpoints, err = collect(list, 0, (*endpoint.Endpoint).Name)
	return view, err
}

func (v *modelView) draw(t *table, called titles) {
	d := v.Details
	t.field("Model", d.ID)
	t.field("Description", d.Description)
	framework := d.Framework
	if d.FrameworkVersion != "" {
		framework += " " + d.FrameworkVersion
	}
	t.field("Framework", framework)
	t.field("Stage", string(d.Stage))
	t.field("Aliases", strings.Join(v.Aliases, ", "))
	t.field("Created", when(d.Created)+" by "+d.CreatedBy)
	t.field("Size", size(d.Size)+" in "+count(d.FileCount, "file"))
	for _, name := range v.Endpoints {
		t.field("Endpoint", name)
	}
	t.field("Source", d.Source)
	t.labels("Tags", d.Tags)
	t.labels("Properties", d.Properties)
	if d.RunID != "" {
		t.heading("Lineage")
		t.row("  run", d.RunID)
		t.row("  experiment", called.of(d.Experiment))
		t.row("  path", d.Path)
		for _, pair := range sortedPairs(d.Lineage) {
			t.row("  "+pair[0], pair[1])
		}
	}
	drawUse(t, d)
	t.heading("Files")
	for _, f := range v.Files {
		t.row("  "+f.Path, size(f.Size), f.Digest)
	}
}

func (a *app) modelDownload() *cobra.Command {
	var dir string
	var overwrite bool
	cmd := &cobra.Command{
		Use:               "download NAME[:VERSION]|NAME@ALIAS",
		Short:             "Write the files of a model into a folder",
		Example:           "  azml model download churn:7 --dir /srv/models/churn",
		Args:              exactly(1, "a model as NAME, NAME:VERSION or NAME@ALIAS"),
		ValidArgsFunction: a.completeModels(),
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder to write into (default: one named after the model)")
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "replace files that are there")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			m, err := ws.Models().GetByID(cmd.Context(), args[0], nil)
			if err != nil {
				return err
			}
			if dir == "" {
				dir = m.Name()
			}
			p := a.progress()
			err = m.Download(cmd.Context(), dir, &model.DownloadOptions{Overwrite: overwrite, Progress: p.bytes("downloading")})
			p.clear()
			if err != nil {
				return overwriteHint(err)
			}
			return a.showDownloaded(downloaded{Dir: dir, Files: m.Details().FileCount, Bytes: m.Details().Size})
		})
	}
	return cmd
}

func (a *app) modelDelete() *cobra.Command {
	return &cobra.Command{
		Use:   "delete NAME:VERSION",
		Short: "Delete a version of a model",
		Long: `Delete a version of a model. Its number is never given again. A version that an
endpoint serves can't be deleted.`,
		Example:           "  azml model delete churn:7",
		Args:              exactly(1, "a model as NAME:VERSION"),
		ValidArgsFunction: a.completeModels(),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, version, err := model.ParseID(args[0])
			if err != nil {
				return err
			}
			if version == model.Latest {
				return usage("model %q: say which version to delete, as NAME:VERSION", args[0])
			}
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				if err := ws.Models().Delete(cmd.Context(), name, version, nil); err != nil {
					return err
				}
				a.say("Deleted model %s.", args[0])
				return nil
			})
		},
	}
}
