package index

import (
	"cmp"
	"strings"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/internal/record"
)

// Experiments are all experiments by name, archived ones among them.
var Experiments = &Kind{
	name: "experiment", number: 2, prefix: experimentPrefix, flat: true, classify: classifyExperiment, id: experimentName, read: readExperiment,
	Schema: filter.Schema{
		Attributes: map[string]filter.Type{
			"name": filter.Text, "title": filter.Text, "experiment_id": filter.Text, "description": filter.Text, "user_id": filter.Text,
			"creation_time": filter.Number, "last_update_time": filter.Number, "archive_time": filter.Number,
		},
		Entities: []filter.Entity{filter.Tag},
		Order:    []filter.Order{{Field: filter.Field{Entity: filter.Attribute, Key: "name", Type: filter.Text}}},
	},
}

const (
	experimentPrefix = "experiments/"
	recordSuffix     = ".json"
)

// experimentName gives the name of the experiment whose record has the key.
func experimentName(key string) string {
	return strings.TrimSuffix(strings.TrimPrefix(key, experimentPrefix), recordSuffix)
}

func classifyExperiment(rest string) (string, part) {
	if strings.Contains(rest, "/") || !strings.HasSuffix(rest, recordSuffix) {
		return "", noPart
	}
	return rest, recordPart
}

func readExperiment(key string, raw []byte, _ Summaries) (filter.Row, error) {
	stored, err := core.Restore[record.Experiment](key, raw, "")
	if err != nil {
		return nil, err
	}
	e, b := stored.Value, newBuilder()
	if e.AliasOf != "" {
		return nil, nil
	}
	b.text("name", e.Name)
	b.text("title", cmp.Or(e.Title, e.Name))
	b.text("experiment_id", e.ID)
	b.text("description", e.Description)
	b.text("user_id", e.CreatedBy)
	b.time("creation_time", e.Created)
	b.time("last_update_time", e.Modified)
	b.time("archive_time", e.Archived)
	b.labels(filter.Tag, e.Tags)
	return b.values, nil
}
