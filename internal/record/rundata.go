package record

import "github.com/azml-go/azml/tabular"

// DataInput is a dataset that a submitted script gets.
type DataInput struct {
	// Name is the input's name, and that of the environment variable with its value.
	Name string `json:"name"`
	// Dataset is "name:version", or the ID of a saved definition.
	Dataset string `json:"dataset"`
	// Mode is "direct", "download" or "mount".
	Mode string `json:"mechanism"`
	// PathOnCompute is where the script finds it, empty for a folder of the run's.
	PathOnCompute string `json:"pathOnCompute,omitempty"`
	// RequireUnchanged fails the run when the data is not what it was when the
	// version was registered.
	RequireUnchanged bool `json:"requireUnchanged,omitempty"`
}

// DataOutput is a folder of files that a submitted script makes.
type DataOutput struct {
	// Name is the output's name, and that of the environment variable with its path.
	Name string `json:"name"`
	// Mode is "upload" or "mount".
	Mode string `json:"mechanism"`
	// Datastore is where the files go.
	Datastore string `json:"datastore"`
	// Path is the folder there, with {run-id} and {output-name} for those.
	Path string `json:"path"`
	// PathOnCompute is where the script writes, empty for a folder of the run's.
	PathOnCompute string `json:"pathOnCompute,omitempty"`
	// Globs are the patterns of the files that are taken, all when there is none.
	Globs []string `json:"globs,omitempty"`
	// Overwrite replaces files that are there.
	Overwrite bool `json:"overwrite,omitempty"`
	// Register says how it is registered, nil when it is not.
	Register *OutputRegistration `json:"register,omitempty"`
}

// OutputRegistration says under what name, and as what, an output is registered.
type OutputRegistration struct {
	// Name is the dataset's name.
	Name string `json:"name"`
	// Description is the version's.
	Description string `json:"description,omitempty"`
	// Tags are the version's.
	Tags map[string]string `json:"tags,omitempty"`
	// Table says how the files are read as a table, nil for files as they are.
	Table *OutputTable `json:"table,omitempty"`
}

// OutputTable says how the files of an output are read as a table, whose columns
// are found out when it is registered.
type OutputTable struct {
	// Format says how the files are read.
	Format DataFormat `json:"format"`
	// Types are the types of columns by name.
	Types map[string]tabular.Type `json:"types,omitempty"`
	// SampleRows is how many rows are looked at for the types of columns.
	SampleRows int `json:"sampleRows,omitempty"`
	// PartitionFormat says which parts of the files' paths are columns.
	PartitionFormat string `json:"partitionFormat,omitempty"`
}

// DatasetUse says how a run has used a dataset of the workspace.
type DatasetUse struct {
	// Input is the input's name.
	Input string `json:"input"`
	// Dataset is "name:version", or the ID of a saved definition.
	Dataset string `json:"dataset"`
	// Mode is how the run got it: "direct", "download" or "mount".
	Mode string `json:"mechanism"`
	// Digest is the SHA-256 of the list of the files that it had then, see
	// Fingerprint; empty for a query. Of what a script got as an ID alone it is what
	// the version had when it was registered, as Files and Bytes are.
	Digest string `json:"sha256,omitempty"`
	// Files is their number.
	Files int64 `json:"files,omitempty"`
	// Bytes is their size together.
	Bytes int64 `json:"bytes,omitempty"`
}

// DatasetOutput is a dataset that a run has made.
type DatasetOutput struct {
	// Output is the output's name.
	Output string `json:"output"`
	// Dataset is "name:version", or the ID of a saved definition; empty when the
	// script has made no file.
	Dataset string `json:"dataset,omitempty"`
	// Mode is how the files went: "upload" or "mount".
	Mode string `json:"mechanism"`
	// Datastore is where the files are.
	Datastore string `json:"datastore"`
	// Path is the folder there.
	Path string `json:"path"`
	// Digest is the SHA-256 of the list of the files, see Fingerprint.
	Digest string `json:"sha256,omitempty"`
	// Files is the number of files in the folder.
	Files int64 `json:"files,omitempty"`
	// Bytes is their size together.
	Bytes int64 `json:"bytes,omitempty"`
}
