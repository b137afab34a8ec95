package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/tabular"
)

// Type says what a dataset is made of.
type Type string

// The types of datasets.
const (
	// TypeFile is for files as they are.
	TypeFile Type = record.DatasetFile
	// TypeTabular is for rows of a table.
	TypeTabular Type = record.DatasetTabular
)

// Dataset is files or the rows of a table, as a definition that is looked at when
// they are read, and, when it was registered, one version of a name as its record
// was last read. Methods that change the record return the changed dataset. It is
// immutable and safe for concurrent use.
type Dataset struct {
	h      core.Handle
	def    record.DataDefinition
	stored *core.Stored[record.Dataset] // nil when it is not registered
}

// Details is what is known of a dataset without looking at its data.
type Details struct {
	// ID identifies the definition: the same one has the same ID everywhere.
	ID string `json:"id"`
	// Type says whether it is files or rows.
	Type Type `json:"type"`
	// Name is the name it was registered under, empty when it is not registered,
	// as are all members below then but for those of the definition.
	Name string `json:"name,omitempty"`
	// Version counts from 1.
	Version int `json:"version,omitempty"`
	// Description is free text.
	Description string `json:"description,omitempty"`
	// Tags are free labels that can change.
	Tags map[string]string `json:"tags,omitempty"`
	// Paths are where the files are, with their wildcards.
	Paths []string `json:"paths,omitempty"`
	// Query is what is asked of a database.
	Query string `json:"query,omitempty"`
	// Format is the kind of files that a table is read from: "delimited",
	// "jsonlines" or "parquet".
	Format string `json:"format,omitempty"`
	// Columns are the columns of the table, or of a dataset of files those of its
	// files' partitions.
	Columns tabular.Schema `json:"columns,omitempty"`
	// PartitionFormat says which parts of paths are columns.
	PartitionFormat string `json:"partitionFormat,omitempty"`
	// PartitionKeys are those columns.
	PartitionKeys []string `json:"partitionKeys,omitempty"`
	// Steps are the transforms, in words.
	Steps []string `json:"steps,omitempty"`
	// Timestamp is the column of the rows' time.
	Timestamp string `json:"timestamp,omitempty"`
	// PartitionTimestamp is the column of a coarser time.
	PartitionTimestamp string `json:"partitionTimestamp,omitempty"`
	// Labels says whose items the rows are labels of, nil when they are none.
	Labels *Labels `json:"labels,omitempty"`
	// Files is the number of files when it was registered.
	Files int64 `json:"files,omitempty"`
	// Bytes is their size then.
	Bytes int64 `json:"bytes,omitempty"`
	// DataChanged is the newest of their times then.
	DataChanged time.Time `json:"dataChangedTime,omitzero"`
	// Created is when it was registered.
	Created time.Time `json:"createdTime,omitzero"`
	// CreatedBy is who registered it.
	CreatedBy string `json:"createdBy,omitempty"`
	// RunID is the run whose output it is, empty for none.
	RunID string `json:"runId,omitempty"`
	// Output is the name of that output.
	Output string `json:"output,omitempty"`
}

// Client leads to the datasets of the same workspace.
func (d *Dataset) Client() *Client { return NewClient(d.h) }

// Type tells whether it is files or rows.
func (d *Dataset) Type() Type { return Type(d.def.Type) }

// Name gives the name it was registered under, empty when it is not registered.
func (d *Dataset) Name() string {
	if d.stored == nil {
		return ""
	}
	return d.stored.Value.Name
}

// Version gives the version, 0 when it is not registered.
func (d *Dataset) Version() int {
	if d.stored == nil {
		return 0
	}
	return d.stored.Value.Version
}

// ID gives the ID of the definition, 32 hexadecimal digits.
func (d *Dataset) ID() string { return definitionID(d.def) }

func definitionID(def record.DataDefinition) string {
	data, err := json.Marshal(def)
	if err != nil {
		panic("dataset: a definition can't be encoded: " + err.Error()) // it has strings and numbers only
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

// label names the dataset in errors.
func (d *Dataset) label() string {
	if d.stored != nil {
		return core.DatasetVersions(d.Name()).Ref(d.Version()).Name
	}
	return d.ID()
}

// Details gives a copy of what is known.
func (d *Dataset) Details() Details {
	out := Details{ID: d.ID(), Type: d.Type(), Columns: d.Columns(), PartitionFormat: d.def.PartitionFormat, PartitionKeys: d.PartitionKeys(),
		Timestamp: d.def.Timestamp, PartitionTimestamp: d.def.PartitionTimestamp}
	for _, p := range d.def.Paths {
		out.Paths = append(out.Paths, Path(p).String())
	}
	if d.def.Query != nil {
		out.Query = d.def.Query.Text
	}
	if d.def.Format != nil {
		out.Format = d.def.Format.Kind
	}
	for _, s := range d.def.Steps {
		out.Steps = append(out.Steps, describe(s))
	}
	if d.stored != nil {
		r := d.stored.Value
		out.Name, out.Version, out.Description, out.Tags = r.Name, r.Version, r.Description, maps.Clone(r.Tags)
		out.Files, out.Bytes, out.DataChanged = r.Fingerprint.Files, r.Fingerprint.Bytes, r.Fingerprint.Modified
		out.Created, out.CreatedBy, out.RunID, out.Output = r.Created, r.CreatedBy, r.RunID, r.Output
		if r.Labels != nil {
			out.Labels = new(Labels(*r.Labels))
		}
	}
	return out
}

// Columns gives the columns of the table after all transforms; of a dataset of
// files those of its partitions. The slice is the caller's own.
func (d *Dataset) Columns() tabular.Schema { return d.schemas()[len(d.def.Steps)] }

// PartitionKeys gives the columns that the partition format names.
func (d *Dataset) PartitionKeys() []string {
	if p := d.partitions(); p != nil {
		return p.schema.Names()
	}
	return nil
}

// partitions gives the parsed partition format, nil when there is none.
func (d *Dataset) partitions() *partitions {
	if d.def.PartitionFormat == "" {
		return nil
	}
	p, err := parsePartitions(d.def.PartitionFormat)
	if err != nil {
		panic("dataset: " + err.Error()) // it was parsed before
	}
	return p
}

// source gives the columns before any step.
func (d *Dataset) source() tabular.Schema {
	s := slices.Clone(d.def.Columns)
	if f := d.def.Format; f != nil && f.IncludePath != "" {
		s = append(s, tabular.Field{Name: f.IncludePath, Type: tabular.String})
	}
	if p := d.partitions(); p != nil {
		s = append(s, p.schema...)
	}
	return s
}

// schemas gives the columns before each step and, at last, after all.
func (d *Dataset) schemas() []tabular.Schema {
	now := d.source()
	out := []tabular.Schema{now}
	for _, step := range d.def.Steps {
		if step.Step == record.StepKeep {
			kept := make(tabular.Schema, len(step.Columns))
			for i, name := range step.Columns {
				kept[i] = now[now.Index(name)]
			}
			now = kept
		}
		out = append(out, now)
	}
	return out
}

// check reads a definition that was stored: what is in it is relied on later.
func check(def record.DataDefinition) error {
	d := &Dataset{def: def}
	if def.PartitionFormat != "" {
		if _, err := parsePartitions(def.PartitionFormat); err != nil {
			return err
		}
	}
	now := d.source()
	for _, step := range def.Steps {
		switch step.Step {
		case record.StepTake, record.StepSkip, record.StepSample, record.StepFilter:
		case record.StepKeep:
			var kept tabular.Schema
			for _, name := range step.Columns {
				at := now.Index(name)
				if at < 0 {
					return fmt.Errorf("%w: a step keeps the column %q, which is not there", azml.ErrDamaged, name)
				}
				kept = append(kept, now[at])
			}
			now = kept
		default:
			return fmt.Errorf("%w: it has a step %q that this azml does not know: update azml", azml.ErrUnsupported, step.Step)
		}
	}
	return nil
}

// want gives an error for datasets of another type.
func (d *Dataset) want(t Type) error {
	if d.Type() != t {
		return fmt.Errorf("%w: it is a dataset of type %s, not %s", azml.ErrInvalid, d.Type(), t)
	}
	return nil
}

// Paths gives the paths of the files, with their wildcards; none of a query.
func (d *Dataset) Paths() []Path {
	out := make([]Path, len(d.def.Paths))
	for i, p := range d.def.Paths {
		out[i] = Path(p)
	}
	return out
}
