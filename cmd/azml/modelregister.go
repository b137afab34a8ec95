package main

import (
	"context"
	"fmt"
	"maps"
	"os"
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

// modelUse are the flags that say how a model was made and is to be used.
type modelUse struct {
	datasets  *pairs
	signature string
}

func (u *modelUse) add(cmd *cobra.Command, opts *model.RegisterOptions) {
	f := cmd.Flags()
	f.StringArrayVar(&opts.ChildPaths, "child-path", nil, "file or folder below the one that is registered, which the model is made of (repeatable; default: all)")
	u.datasets = &pairs{example: "RELATION=NAME:VERSION", bare: func(string) (string, error) { return "", fmt.Errorf("want RELATION=NAME:VERSION") }}
	f.Var(u.datasets, "dataset", "dataset that the model was made with, such as training=titanic:3 (repeatable)")
	f.StringVar(&opts.SampleInputDataset, "sample-input", "", "dataset NAME:VERSION with examples of what the model is given")
	f.StringVar(&opts.SampleOutputDataset, "sample-output", "", "dataset NAME:VERSION with examples of what it answers")
	f.Float64Var(&opts.Resources.CPU, "cpu", 0, "processors that a replica serving it should have")
	f.Float64Var(&opts.Resources.MemoryGB, "memory-gb", 0, "memory that a replica should have, in GB")
	f.IntVar(&opts.Resources.GPU, "gpu", 0, "accelerators that a replica should have")
	f.StringVar(&u.signature, "signature", "", `JSON file with "inputs" and "outputs" as MLflow writes them (default: what the file MLmodel says)`)
}

func (u *modelUse) fill(opts *model.RegisterOptions) error {
	for _, pair := range sortedPairs(u.datasets.values) {
		opts.Datasets = append(opts.Datasets, model.DatasetReference{Relation: pair[0], Dataset: pair[1]})
	}
	if u.signature == "" {
		return nil
	}
	data, err := os.ReadFile(u.signature)
	if err != nil {
		return err
	}
	if opts.Signature, err = model.ParseSignature(data); err != nil {
		return fmt.Errorf("%s: %w", u.signature, err)
	}
	return nil
}

// sortedPairs gives the keys and values by key.
func sortedPairs(m map[string]string) [][2]string {
	var pairs [][2]string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, [2]string{key, m[key]})
	}
	return pairs
}
