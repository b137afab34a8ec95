package experiment

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/internal/runconfig"
)

// dataOf gives the inputs and outputs that a run configuration names, and says what
// of them is not provided.
func dataOf(rc *runconfig.RunConfig) (inputs map[string]dataset.Input, outputs map[string]dataset.Output, warnings []string) {
	inputs, outputs = map[string]dataset.Input{}, map[string]dataset.Output{}
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	for _, name := range slices.Sorted(maps.Keys(rc.DataReferences)) {
		ref := rc.DataReferences[name]
		at := dataset.Path{Datastore: ref.DataStoreName, Path: ref.PathOnDataStore}
		if ref.Mode == string(dataset.ModeUpload) {
			outputs[name] = dataset.Output{Target: at, PathOnCompute: ref.PathOnCompute, Overwrite: ref.Overwrite}
			continue
		}
		inputs[name] = dataset.Input{ID: at.String(), Mode: dataset.Mode(ref.Mode), PathOnCompute: ref.PathOnCompute}
	}
	for _, name := range slices.Sorted(maps.Keys(rc.Data)) {
		data := rc.Data[name]
		id := placeOf(data.DataLocation)
		if id == "" {
			warn("data.%s is not provided: its dataLocation names neither a dataset nor a path in a datastore", name)
			continue
		}
		if v := data.EnvironmentVariableName; v != "" && v != name {
			warn("data.%s.environmentVariableName %s: the variable is called %s, as the input", name, v, name)
		}
		inputs[name] = dataset.Input{ID: id, Mode: dataset.Mode(data.Mechanism), PathOnCompute: data.PathOnCompute}
	}
	for _, name := range slices.Sorted(maps.Keys(rc.OutputData)) {
		out, said := outputOf(rc.OutputData[name])
		for _, text := range said {
			warn("outputData.%s: %s", name, text)
		}
		outputs[name] = out
	}
	if len(inputs) == 0 {
		inputs = nil
	}
	if len(outputs) == 0 {
		outputs = nil
	}
	return inputs, outputs, warnings
}

// placeOf names the dataset or the path, empty when it is neither.
func placeOf(l *runconfig.DataLocation) string {
	switch {
	case l == nil:
	case l.Dataset != nil && l.Dataset.Name != "" && l.Dataset.Version != "":
		return l.Dataset.Name + ":" + l.Dataset.Version
	case l.Dataset != nil:
		return cmp.Or(l.Dataset.Name, l.Dataset.ID)
	case l.DataPath != nil:
		return dataset.Path{Datastore: l.DataPath.DatastoreName, Path: l.DataPath.RelativePath}.String()
	case l.URI != nil && datastore.IsURI(l.URI.Path):
		return l.URI.Path
	}
	return ""
}

func outputOf(o runconfig.OutputData) (out dataset.Output, warnings []string) {
	if l := o.OutputLocation; l != nil && l.DataPath != nil {
		out.Target = dataset.Path{Datastore: l.DataPath.DatastoreName, Path: l.DataPath.RelativePath}
	} else if l != nil && l.URI != nil && datastore.IsURI(l.URI.Path) {
		if p, err := dataset.ParsePath(l.URI.Path); err == nil {
			out.Target = p
		}
	} else if l != nil && l.URI != nil {
		warnings = append(warnings, fmt.Sprintf("outputLocation %s is no path in a datastore: the default is taken", l.URI.Path))
	}
	switch m := dataset.Mode(o.Mechanism); m {
	case "", dataset.ModeUpload, dataset.ModeMount:
		out.Mode = m
	default:
		warnings = append(warnings, fmt.Sprintf("mechanism %s: it is uploaded in the end", m))
	}
	a := o.AdditionalOptions
	if a == nil {
		return out, warnings
	}
	out.PathOnCompute = a.PathOnCompute
	if u := a.UploadOptions; u != nil {
		out.Overwrite = u.Overwrite
		if u.SourceGlobs != nil {
			out.Globs = u.SourceGlobs.Patterns
		}
	}
	if r := a.RegistrationOptions; r != nil {
		out.Register, out.Description, out.Tags = r.Name, r.Description, r.Tags
		if len(r.DatasetRegistrationOptions) > 0 {
			warnings = append(warnings, "datasetRegistrationOptions: its files are registered as they are")
		}
	}
	return out, warnings
}

// fillData is the opposite of dataOf.
func fillData(rc *runconfig.RunConfig, config ScriptRunConfig) error {
	for name, in := range config.Inputs {
		data := runconfig.Data{Mechanism: string(cmp.Or(in.Mode, dataset.ModeDownload)), EnvironmentVariableName: name, PathOnCompute: in.PathOnCompute}
		id := in.ID
		if in.Dataset != nil {
			id = in.Dataset.Ref()
		}
		location, err := locationOf(id)
		if err != nil {
			return fmt.Errorf("input %q: %w", name, err)
		}
		data.DataLocation = location
		if rc.Data == nil {
			rc.Data = map[string]runconfig.Data{}
		}
		rc.Data[name] = data
	}
	for name, out := range config.Outputs {
		if out.Delimited != nil || out.JSONLines != nil || out.Parquet != nil {
			return fmt.Errorf("%w: output %q: such a file can't say how a table is read", azml.ErrUnsupported, name)
		}
		if rc.OutputData == nil {
			rc.OutputData = map[string]runconfig.OutputData{}
		}
		rc.OutputData[name] = outputData(out)
	}
	return nil
}

func locationOf(id string) (*runconfig.DataLocation, error) {
	if datastore.IsURI(id) {
		u, err := datastore.ParseURI(id)
		return &runconfig.DataLocation{DataPath: &runconfig.DataPath{DatastoreName: u.Datastore, RelativePath: u.Path}}, err
	}
	name, version, err := dataset.ParseID(id)
	if err != nil {
		return nil, err
	}
	d := &runconfig.Dataset{Name: name}
	switch {
	case version != dataset.Latest:
		d.Version = strconv.Itoa(version)
	case dataset.IsID(name):
		d.Name, d.ID = "", name
	}
	return &runconfig.DataLocation{Dataset: d}, nil
}

func outputData(out dataset.Output) runconfig.OutputData {
	data := runconfig.OutputData{Mechanism: string(cmp.Or(out.Mode, dataset.ModeUpload)), AdditionalOptions: &runconfig.OutputOptions{PathOnCompute: out.PathOnCompute}}
	if t := out.Target; t != (dataset.Path{}) {
		data.OutputLocation = &runconfig.DataLocation{DataPath: &runconfig.DataPath{DatastoreName: t.Datastore, RelativePath: t.Path}}
	}
	a := data.AdditionalOptions
	if data.Mechanism == string(dataset.ModeUpload) || out.Overwrite || len(out.Globs) > 0 {
		a.UploadOptions = &runconfig.UploadOptions{Overwrite: out.Overwrite}
		if len(out.Globs) > 0 {
			a.UploadOptions.SourceGlobs = &runconfig.Globs{Patterns: out.Globs}
		}
	}
	if out.Register != "" {
		a.RegistrationOptions = &runconfig.RegistrationOptions{Name: out.Register, Description: out.Description, Tags: out.Tags}
	}
	return data
}
