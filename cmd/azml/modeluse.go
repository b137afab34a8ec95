package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/model"
)

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
