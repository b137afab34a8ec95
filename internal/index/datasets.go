package index

import (
	"strings"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/internal/record"
)

// Datasets are the versions of all datasets that are not deleted, by name and the
// newest version first.
var Datasets = &Kind{
	name: "dataset", number: 6, prefix: core.DatasetPrefix, classify: classifyModel, id: datasetID, read: readDataset,
	Schema: filter.Schema{
		Attributes: map[string]filter.Type{
			"name": filter.Text, "version_number": filter.Number, "type": filter.Text, "definition_id": filter.Text, "description": filter.Text,
			"user_id": filter.Text, "size": filter.Number, "files": filter.Number,
			"creation_timestamp": filter.Number, "last_updated_timestamp": filter.Number,
		},
		Aliases:        map[string]string{"version": "version_number"},
		Entities:       []filter.Entity{filter.Tag},
		UnequalMissing: true,
		Order: []filter.Order{
			{Field: filter.Field{Entity: filter.Attribute, Key: "name", Type: filter.Text}},
			{Field: filter.Field{Entity: filter.Attribute, Key: "version_number", Type: filter.Number}, Desc: true},
		},
	},
}

// datasetID gives "name:version" of the dataset whose record has the key.
func datasetID(key string) string {
	name, number, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(key, core.DatasetPrefix), recordSuffix), "/")
	return name + ":" + strings.TrimLeft(number, "0")
}

func readDataset(key string, raw []byte, _ Summaries) (filter.Row, error) {
	stored, err := core.Restore[record.Dataset](key, raw, "")
	if err != nil {
		return nil, err
	}
	d, b := stored.Value, newBuilder()
	if !d.Deleted.IsZero() {
		return nil, nil
	}
	b.text("name", d.Name)
	b.number("version_number", float64(d.Version))
	b.text("type", d.Definition.Type)
	b.text("definition_id", d.DefinitionID)
	b.text("description", d.Description)
	b.text("user_id", d.CreatedBy)
	b.number("size", float64(d.Fingerprint.Bytes))
	b.number("files", float64(d.Fingerprint.Files))
	b.time("creation_timestamp", d.Created)
	b.time("last_updated_timestamp", d.Modified)
	b.labels(filter.Tag, d.Tags)
	return b.values, nil
}
