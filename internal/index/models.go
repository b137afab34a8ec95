package index

import (
	"strings"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/internal/record"
)

// Models are the versions of all models that are not deleted, by name and the
// newest version first.
var Models = &Kind{
	name: "model", number: 3, prefix: modelPrefix, classify: classifyModel, id: modelID, read: readModel,
	Schema: filter.Schema{
		Attributes: map[string]filter.Type{
			"name": filter.Text, "version_number": filter.Number, "run_id": filter.Text, "experiment": filter.Text,
			"source_path": filter.Text, "framework": filter.Text, "framework_version": filter.Text, "description": filter.Text,
			"user_id": filter.Text, "size": filter.Number, "stage": filter.Text, "model_id": filter.Text,
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

const modelPrefix = "models/"

// RegisteredModels are the models as wholes that are not deleted, by name. The
// name is the one that MLflow clients see; the ID of a hit is the model's own.
var RegisteredModels = &Kind{
	name: "registered model", number: 4, prefix: modelPrefix, within: true, classify: classifyRegistered, id: registeredName, read: readRegistered,
	Schema: filter.Schema{
		Attributes: map[string]filter.Type{
			"name": filter.Text, "description": filter.Text, "user_id": filter.Text,
			"creation_timestamp": filter.Number, "last_updated_timestamp": filter.Number,
		},
		Aliases:        map[string]string{"timestamp": "last_updated_timestamp"},
		Entities:       []filter.Entity{filter.Tag},
		UnequalMissing: true,
		Order:          []filter.Order{{Field: filter.Field{Entity: filter.Attribute, Key: "name", Type: filter.Text}}},
	},
}

// registeredName gives the own name of the model whose record has the key.
func registeredName(key string) string {
	return strings.TrimSuffix(strings.TrimPrefix(key, modelPrefix), recordSuffix)
}

func classifyRegistered(rest string) (string, part) {
	if strings.Contains(rest, "/") || !strings.HasSuffix(rest, recordSuffix) {
		return "", noPart
	}
	return rest, recordPart
}

func readRegistered(key string, raw []byte, _ Summaries) (filter.Row, error) {
	stored, err := core.Restore[record.RegisteredModel](key, raw, "")
	if err != nil {
		return nil, err
	}
	m, b := stored.Value, newBuilder()
	if m.NameOf != "" || !m.Deleted.IsZero() {
		return nil, nil
	}
	b.text("name", m.Name)
	b.text("name", m.Title)
	b.text("description", m.Description)
	b.text("user_id", m.CreatedBy)
	b.time("creation_timestamp", m.Created)
	b.time("last_updated_timestamp", m.Modified)
	b.labels(filter.Tag, m.Tags)
	return b.values, nil
}

// modelID gives "name:version" of the model whose record has the key.
func modelID(key string) string {
	name, number, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(key, modelPrefix), recordSuffix), "/")
	return name + ":" + strings.TrimLeft(number, "0")
}

func classifyModel(rest string) (string, part) {
	if strings.Count(rest, "/") != 1 || !strings.HasSuffix(rest, recordSuffix) {
		return "", noPart
	}
	return rest, recordPart
}

func readModel(key string, raw []byte, _ Summaries) (filter.Row, error) {
	stored, err := core.Restore[record.Model](key, raw, "")
	if err != nil {
		return nil, err
	}
	m, b := stored.Value, newBuilder()
	if !m.Deleted.IsZero() {
		return nil, nil
	}
	b.text("name", m.Name)
	b.number("version_number", float64(m.Version))
	b.text("run_id", m.RunID)
	b.text("experiment", m.Experiment)
	b.text("source_path", m.Path)
	if m.Source != "" {
		b.text("source_path", m.Source)
	}
	b.text("stage", m.Stage)
	b.text("model_id", m.ModelID)
	b.text("framework", m.Framework)
	b.text("framework_version", m.FrameworkVersion)
	b.text("description", m.Description)
	b.text("user_id", m.CreatedBy)
	b.number("size", float64(m.Size))
	b.time("creation_timestamp", m.Created)
	b.time("last_updated_timestamp", m.Modified)
	b.labels(filter.Tag, m.Tags)
	b.labels(filter.Property, m.Properties)
	return b.values, nil
}
