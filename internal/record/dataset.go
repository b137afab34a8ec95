package record

import (
	"time"

	"github.com/azml-go/azml/tabular"
)

// Dataset is the record of one version of a dataset, at
// "datasets/<name>/<version>.json". A deleted version leaves its record behind
// with Deleted set, so that its number is never given again.
type Dataset struct {
	Meta
	// Name is the dataset's name.
	Name string `json:"name"`
	// Version counts from 1 without gaps.
	Version int `json:"version"`
	// Description is free text.
	Description string `json:"description,omitempty"`
	// Tags are free labels that can change.
	Tags map[string]string `json:"tags,omitempty"`
	// DefinitionID identifies Definition, see DatasetDefinition.ID.
	DefinitionID string `json:"definitionId"`
	// Definition says what the data is.
	Definition DataDefinition `json:"definition"`
	// Fingerprint says what the definition pointed to when it was registered.
	Fingerprint Fingerprint `json:"fingerprint"`
	// Labels says whose items the rows are labels of, nil when they are none.
	Labels *DataLabels `json:"labels,omitempty"`
	// RunID is the run whose output it is, empty for none.
	RunID string `json:"runId,omitempty"`
	// Output is the name of that output.
	Output string `json:"output,omitempty"`
	// Deleted is when the version was deleted, zero when it is there.
	Deleted time.Time `json:"deleted,omitzero"`
}

// Schema implements Record.
func (*Dataset) Schema() string { return "azml.dataset/1" }

// DatasetDefinition is the record of a definition that was saved, registered or
// not, at "dataset-definitions/<id>.json".
type DatasetDefinition struct {
	Meta
	// ID is the first 32 hexadecimal digits of the SHA-256 of Definition as JSON
	// without spaces, its members in the order of the struct.
	ID string `json:"id"`
	// Definition says what the data is.
	Definition DataDefinition `json:"definition"`
	// Registered are the versions that were registered with it, as
	// "name:version", some of which may be deleted.
	Registered []string `json:"registered,omitempty"`
}

// Schema implements Record.
func (*DatasetDefinition) Schema() string { return "azml.dataset-definition/1" }

// DataLabels says whose items the rows of a table are labels of.
type DataLabels struct {
	// Of is that dataset, as "name:version" or the ID of its definition.
	Of string `json:"of"`
	// Key is the column of a table whose values are the items' IDs, empty for files.
	Key string `json:"key,omitempty"`
}

// Fingerprint is what a definition pointed to at some time.
type Fingerprint struct {
	// Manifest is the ID of a manifest of one file, the list of the files; empty
	// for a query.
	Manifest string `json:"manifest,omitempty"`
	// Digest is the SHA-256 of the list, in hexadecimal.
	Digest string `json:"sha256,omitempty"`
	// Contents says that the list has the digests of the files' contents.
	Contents bool `json:"contents,omitempty"`
	// Files is their number.
	Files int64 `json:"files"`
	// Bytes is their size together.
	Bytes int64 `json:"bytes"`
	// Modified is the newest of their times, zero when there is none.
	Modified time.Time `json:"modified,omitzero"`
}

// DataDefinition says what the data of a dataset is. It is never changed.
type DataDefinition struct {
	// Type is DatasetFile or DatasetTabular.
	Type string `json:"type"`
	// Paths are where the files are, empty for a query.
	Paths []DataPath `json:"paths,omitempty"`
	// Query is what is asked of a database, nil for files.
	Query *DataQuery `json:"query,omitempty"`
	// PartitionFormat says which parts of the files' paths are columns.
	PartitionFormat string `json:"partitionFormat,omitempty"`
	// Format says how the files of a table are read, nil for others.
	Format *DataFormat `json:"format,omitempty"`
	// Columns are those that the table's files or its query have.
	Columns tabular.Schema `json:"columns,omitempty"`
	// Steps are what is made of the rows or files, in their order.
	Steps []DataStep `json:"steps,omitempty"`
	// Timestamp is the column of the rows' time, empty for none.
	Timestamp string `json:"timestamp,omitempty"`
	// PartitionTimestamp is the column of a coarser time, empty for none.
	PartitionTimestamp string `json:"partitionTimestamp,omitempty"`
}

// The types of datasets.
const (
	// DatasetFile is for files as they are.
	DatasetFile = "File"
	// DatasetTabular is for rows of a table.
	DatasetTabular = "Tabular"
)

// DataPath is a file, a folder or a pattern in a datastore.
type DataPath struct {
	// Datastore is the datastore's name.
	Datastore string `json:"datastore"`
	// Path is the path, in which *, ? and ** are wildcards.
	Path string `json:"path"`
}

// DataQuery is a query of a database.
type DataQuery struct {
	// Datastore is the datastore's name.
	Datastore string `json:"datastore"`
	// Text is the query.
	Text string `json:"text"`
	// Timeout is in milliseconds, 0 for the datastore's default.
	Timeout int64 `json:"timeoutMs,omitempty"`
}

// The kinds of files with tables.
const (
	// FormatDelimited is for fields between separators.
	FormatDelimited = "delimited"
	// FormatJSONLines is for a JSON object a line.
	FormatJSONLines = "jsonlines"
	// FormatParquet is for Parquet.
	FormatParquet = "parquet"
)

// DataFormat says how files of a table are read.
type DataFormat struct {
	// Kind is one of the Format… constants.
	Kind string `json:"kind"`
	// Separator stands between fields, a comma when empty.
	Separator string `json:"separator,omitempty"`
	// Header says which files begin with names of columns, see package delimited.
	Header string `json:"header,omitempty"`
	// Encoding is that of text, UTF-8 when empty.
	Encoding string `json:"encoding,omitempty"`
	// EmptyAsString makes empty fields empty texts.
	EmptyAsString bool `json:"emptyAsString,omitempty"`
	// Nulls are texts that mean that a value is missing.
	Nulls []string `json:"nulls,omitempty"`
	// Layouts are the forms of times by column.
	Layouts map[string][]string `json:"layouts,omitempty"`
	// DropInvalid passes over lines that are no JSON objects.
	DropInvalid bool `json:"dropInvalid,omitempty"`
	// NullOnError makes missing what doesn't fit its column's type.
	NullOnError bool `json:"nullOnError,omitempty"`
	// IncludePath is the name of the column of files' paths, empty for none.
	IncludePath string `json:"includePath,omitempty"`
}

// The steps from rows or files to others.
const (
	// StepTake keeps the first N.
	StepTake = "take"
	// StepSkip leaves out the first N.
	StepSkip = "skip"
	// StepSample keeps a random part.
	StepSample = "sample"
	// StepFilter keeps those of which Filter is true.
	StepFilter = "filter"
	// StepKeep keeps some columns.
	StepKeep = "keep"
)

// DataStep is one step.
type DataStep struct {
	// Step is one of the Step… constants.
	Step string `json:"step"`
	// N is the number of rows or files.
	N int64 `json:"n,omitempty"`
	// Share is the part that is kept, from 0 to 1.
	Share float64 `json:"share,omitempty"`
	// Seed draws the part.
	Seed uint64 `json:"seed,omitempty"`
	// Rest keeps all but the part.
	Rest bool `json:"rest,omitempty"`
	// Filter is an expression.
	Filter string `json:"filter,omitempty"`
	// Columns are the columns that are kept, in their new order.
	Columns []string `json:"columns,omitempty"`
}
