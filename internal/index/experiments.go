package index

import (
	"strings"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/internal/record"
)

// Experiments are all experiments by name, archived ones among them.
var Experiments = &Kind{
	number: 2, prefix: "experiments/", flat: true, classify: classifyExperiment, read: readExperiment,
	Schema: filter.Schema{
		Attributes: map[string]filter.Type{
			"name": filter.Text, "experiment_id": filter.Text, "description": filter.Text, "user_id": filter.Text,
			"creation_time": filter.Number, "last_update_time": filter.Number, "archive_time": filter.Number,
		},
		Entities: []filter.Entity{filter.Tag},
		Order:    []filter.Order{{Field: filter.Field{Entity: filter.Attribute, Key: "name", Type: filter.Text}}},
	},
}

func classifyExperiment(rest string) (string, part) {
	if strings.Contains(rest, "/") || !strings.HasSuffix(rest, ".json") {
		return "", noPart
	}
	return rest, recordPart
}

func readExperiment(key string, raw []byte, _ Summaries) (row, error) {
	stored, err := core.Restore[record.Experiment](key, raw, "")
	if err != nil {
		return row{}, err
	}
	e, b := stored.Value, Experiments.builder()
	b.text("name", e.Name)
	b.text("experiment_id", e.ID)
	b.text("description", e.Description)
	b.text("user_id", e.CreatedBy)
	b.time("creation_time", e.Created)
	b.time("last_update_time", e.Modified)
	b.time("archive_time", e.Archived)
	b.labels(filter.Tag, e.Tags)
	return row{id: e.Name, values: b.values}, nil
}
