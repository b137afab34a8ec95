package workspace

import (
	"fmt"
	"strings"

	"github.com/azml-go/azml/internal/record"
)

// dataset checks that the list of files of a registered dataset is there, and the
// definition. The data itself is not the workspace's.
func (c *checker) dataset(key string) error {
	c.number(key)
	d, ok, err := read[record.Dataset](c, key)
	if err != nil || !ok || !d.Deleted.IsZero() {
		return err
	}
	if d.Fingerprint.Manifest != "" {
		c.roots = append(c.roots, d.Fingerprint.Manifest)
	}
	return c.reference(key, "the definition of dataset "+d.Name, "dataset-definitions/"+d.DefinitionID+".json")
}

// definition checks a saved definition.
func (c *checker) definition(key string) error {
	d, ok, err := read[record.DatasetDefinition](c, key)
	if err == nil && ok && key != "dataset-definitions/"+d.ID+".json" {
		c.problem(key, "it says that it is definition %q", d.ID)
	}
	return err
}

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
