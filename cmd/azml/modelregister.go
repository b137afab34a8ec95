package main

import (
	"context"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/workspace"
)

func (a *app) modelRegister() *cobra.Command {
	var name, path, runID, asset string
	var opts model.RegisterOptions
	var use modelUse
	cmd := &cobra.Command{
		Use:   "register --name NAME (--path PATH | --run RUN --asset-path PATH)",
		Short: "Register a file or folder, or an output of a run, as the next version of a model",
		Example: `  azml model register --name churn --path model.json --tag stage=candidate
  azml model register --name churn --run churn_1764000000_1f2e3d4c --asset-path outputs/model.json
  azml model register --name churn --path model/ --child-path weights --dataset training=titanic:3 --signature signature.json`,
		Args: noArgs,
	}
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "name of the model (required)")
	f.StringVar(&path, "path", "", "file or folder of this machine")
	f.StringVar(&runID, "run", "", "ID of the run that made the model")
	f.StringVar(&asset, "asset-path", "", "file or folder of that run")
	f.StringVar(&opts.Description, "description", "", "description of the model")
	f.StringVar(&opts.Framework, "framework", "", "framework, such as ScikitLearn or Onnx")
	f.StringVar(&opts.FrameworkVersion, "framework-version", "", "version of the framework")
	use.add(cmd, &opts)
	tags, properties := tagsFlag(cmd, "tag", "tag of the model"), tagsFlag(cmd, "property", "property of the model, which never changes")
	cmd.MarkFlagsMutuallyExclusive("path", "run")
	must(cmd.RegisterFlagCompletionFunc("run", a.completeRuns(1)))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		opts.Tags, opts.Properties = tags.values, properties.values
		switch {
		case name == "":
			return usage("name the model: --name NAME")
		case path == "" && runID == "":
			return usage("say what to register: --path PATH, or --run RUN --asset-path PATH")
		case (runID == "") != (asset == ""):
			return usage("--run and --asset-path go together")
		}
		if err := use.fill(&opts); err != nil {
			return err
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			p := a.progress()
			opts.Progress = func(read int64) { p.set("storing the model: %s read", size(read)) }
			m, err := register(cmd.Context(), ws, name, path, runID, asset, &opts)
			p.clear()
			if err != nil {
				return err
			}
			return a.show(m.Details(), func(t *table) { t.line(m.ID()) })
		})
	}
	return cmd
}

func register(ctx context.Context, ws *workspace.Workspace, name, path, runID, asset string, opts *model.RegisterOptions) (*model.Model, error) {
	if runID == "" {
		return ws.Models().Register(ctx, name, path, opts)
	}
	r, err := ws.Runs().Get(ctx, runID, nil)
	if err != nil {
		return nil, err
	}
	return r.RegisterModel(ctx, name, asset, opts)
}

// sortedPairs gives the keys and values by key.
func sortedPairs(m map[string]string) [][2]string {
	var pairs [][2]string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, [2]string{key, m[key]})
	}
	return pairs
}
