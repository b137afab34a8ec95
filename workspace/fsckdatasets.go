package workspace

import (
	"fmt"
	"slices"
	"strings"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// dataset checks that the list of files of a registered dataset is there, the
// definition, and whose labels it has. The data itself is not the workspace's.
func (c *checker) dataset(key string) error {
	c.number(key)
	d, ok, err := read[record.Dataset](c, key)
	if err != nil || !ok || !d.Deleted.IsZero() {
		return err
	}
	if d.Fingerprint.Manifest != "" {
		c.roots = append(c.roots, d.Fingerprint.Manifest)
	}
	if d.Labels != nil {
		items := datasetKey(d.Labels.Of)
		if items == "" {
			items = definitionKey(d.Labels.Of)
		}
		if err := c.reference(key, "the dataset of the labelled items, "+d.Labels.Of+",", items); err != nil {
			return err
		}
	}
	definition := definitionKey(d.DefinitionID)
	if err := c.reference(key, "the definition of dataset "+d.Name, definition); err != nil {
		return err
	}
	def, err := core.Get[record.DatasetDefinition](c.ctx, c.h, definition)
	if err != nil {
		return nil //nolint:nilerr // that is told of the definition itself
	}
	if id := fmt.Sprintf("%s:%d", d.Name, d.Version); !slices.Contains(def.Value.Registered, id) {
		c.note(key, "%s does not name it: registering it was cut off at the end, or goes on. The dataset is whole; the same definition could be registered a second time", definition)
	}
	return nil
}

// definition checks a saved definition, and that the versions with it are there;
// deleted ones are, too.
func (c *checker) definition(key string) error {
	d, ok, err := read[record.DatasetDefinition](c, key)
	if err != nil || !ok {
		return err
	}
	if key != definitionKey(d.ID) {
		c.problem(key, "it says that it is definition %q", d.ID)
	}
	for _, id := range d.Registered {
		if err := c.reference(key, "dataset "+id, datasetKey(id)); err != nil {
			return err
		}
	}
	return nil
}

func definitionKey(id string) string { return "dataset-definitions/" + id + ".json" }

// datasetKey gives the key of the record of the dataset that id names as
// NAME:VERSION, "" when it does not.
func datasetKey(id string) string {
	name, text, ok := strings.Cut(id, ":")
	version := 0
	if _, err := fmt.Sscanf(text, "%d", &version); !ok || err != nil || version < 1 {
		return ""
	}
	return fmt.Sprintf("datasets/%s/%010d.json", name, version)
}
