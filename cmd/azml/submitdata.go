package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/experiment"
)

// dataFlags are the flags of `azml run submit` about datasets.
type dataFlags struct {
	inputs, outputs, registered []string
	overwrite                   bool
}

func (d *dataFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&d.inputs, "input", nil, "dataset of the script as NAME=DATASET[:VERSION][:download|mount|direct], or NAME=azureml://datastores/…; repeated for more")
	f.StringArrayVar(&d.outputs, "out", nil, "folder that the script writes, as NAME or NAME=FOLDER[:upload|mount] in a datastore (default: dataset/{run-id}/{output-name}); repeated for more")
	f.StringArrayVar(&d.registered, "register", nil, "register an output that the run has made, as OUTPUT=DATASET[:delimited|jsonlines|parquet]; repeated for more")
	f.BoolVar(&d.overwrite, "overwrite", false, "replace files that are in the folders of outputs already")
}

// merge puts what the flags say into the configuration, over what is there.
func (d *dataFlags) merge(c *experiment.ScriptRunConfig) error {
	for _, text := range d.inputs {
		name, in, err := parseInput(text)
		if err != nil {
			return err
		}
		if c.Inputs == nil {
			c.Inputs = map[string]dataset.Input{}
		}
		c.Inputs[name] = in
	}
	outputs := map[string]dataset.Output{}
	for _, text := range d.outputs {
		name, out, err := parseOutput(text)
		if err != nil {
			return err
		}
		out.Overwrite = d.overwrite
		outputs[name] = out
	}
	for _, text := range d.registered {
		if err := registerOutput(outputs, text); err != nil {
			return err
		}
	}
	for name, out := range outputs {
		if c.Outputs == nil {
			c.Outputs = map[string]dataset.Output{}
		}
		c.Outputs[name] = out
	}
	return nil
}

// cutMode cuts one of the modes off, when the text ends in ":" and one.
func cutMode(text string, modes ...dataset.Mode) (string, dataset.Mode) {
	if at := strings.LastIndexByte(text, ':'); at >= 0 && slices.Contains(modes, dataset.Mode(text[at+1:])) {
		return text[:at], dataset.Mode(text[at+1:])
	}
	return text, ""
}

// parseInput reads NAME=DATASET[:VERSION][:MODE].
func parseInput(text string) (string, dataset.Input, error) {
	name, rest, _ := strings.Cut(text, "=")
	id, mode := cutMode(rest, dataset.ModeDownload, dataset.ModeMount, dataset.ModeDirect)
	if name == "" || id == "" {
		return "", dataset.Input{}, usage("--input %q: write NAME=DATASET[:VERSION][:download|mount|direct]", text)
	}
	return name, dataset.Input{ID: id, Mode: mode}, nil
}

// parseOutput reads NAME[=FOLDER[:MODE]].
func parseOutput(text string) (string, dataset.Output, error) {
	name, rest, _ := strings.Cut(text, "=")
	if name == "" {
		return "", dataset.Output{}, usage("--out %q: write NAME or NAME=FOLDER[:upload|mount]", text)
	}
	folder, mode := cutMode(":"+rest, dataset.ModeUpload, dataset.ModeMount) // so that a mode may stand alone
	target, err := dataset.ParsePath(strings.TrimPrefix(folder, ":"))
	return name, dataset.Output{Target: target, Mode: mode}, err
}

// registerOutput reads OUTPUT=DATASET[:KIND].
func registerOutput(outputs map[string]dataset.Output, text string) error {
	output, rest, _ := strings.Cut(text, "=")
	name, kind, _ := strings.Cut(rest, ":")
	out, ok := outputs[output]
	switch {
	case output == "" || name == "":
		return usage("--register %q: write OUTPUT=DATASET[:delimited|jsonlines|parquet]", text)
	case !ok:
		return usage("--register %q: there is no --out %s", text, output)
	}
	out.Register = name
	switch kind {
	case "":
	case "delimited":
		out.Delimited = &dataset.DelimitedOptions{}
	case "jsonlines":
		out.JSONLines = &dataset.JSONLinesOptions{}
	case "parquet":
		out.Parquet = &dataset.ParquetOptions{}
	default:
		return usage("--register %q: a table is delimited, jsonlines or parquet", text)
	}
	outputs[output] = out
	return nil
}
