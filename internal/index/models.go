package index

import (
	"fmt"
	"strings"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/internal/record"
)

// Models are the versions of all models that are not deleted, by name and the
// newest version first.
var Models = &Kind{
	number: 3, prefix: "models/", classify: classifyModel, read: readModel,
	Schema: filter.Schema{
		Attributes: map[string]filter.Type{
			"name": filter.Text, "version_number": filter.Number, "run_id": filter.Text, "experiment": filter.Text,
			"source_path": filter.Text, "framework": filter.Text, "framework_version": filter.Text, "description": filter.Text,
			"user_id": filter.Text, "size": filter.Number,
			"creation_timestamp": filter.Number, "last_updated_timestamp": filter.Number,
		},
		Aliases:        map[string]string{"version": "version_number"},
		Entities:       []filter.Entity{filter.Tag, filter.Property},
		UnequalMissing: true,
		Order: []filter.Order{
			{Field: filter.Field{Entity: filter.Attribute, Key: "name", Type: filter.Text}},
			{Field: filter.Field{Entity: filter.Attribute, Key: "version_number", Type: filter.Number}, Desc: true},
		},
	},
}

func classifyModel(rest string) (string, part) {
	if strings.Count(rest, "/") != 1 || !strings.HasSuffix(rest, ".json") {
		return "", noPart
	}
	return rest, recordPart
}

func readModel(key string, raw []byte, _ Summaries) (row, error) {
	stored, err := core.Restore[record.Model](key, raw, "")
	if err != nil {
		return row{}, err
	}
	m, b := stored.Value, Models.builder()
	b.text("name", m.Name)
	b.number("version_number", float64(m.Version))
	b.text("run_id", m.RunID)
	b.text("experiment", m.Experiment)
	b.text("source_path", m.Path)
	b.text("framework", m.Framework)
	b.text("framework_version", m.FrameworkVersion)
	b.text("description", m.Description)
	b.text("user_id", m.CreatedBy)
	b.number("size", float64(m.Size))
	b.time("creation_timestamp", m.Created)
	b.time("last_updated_timestamp", m.Modified)
	b.labels(filter.Tag, m.Tags)
	b.labels(filter.Property, m.Properties)
	return row{id: fmt.Sprintf("%s:%d", m.Name, m.Version), hidden: !m.Deleted.IsZero(), values: b.values}, nil
}
