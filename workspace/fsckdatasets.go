package workspace

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/azml-go/azml"
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

// runData notes which of the datasets that a run names are not there any more. The
// run is as good as before: its record says what they were.
func (c *checker) runData(key string, r record.Run) error {
	named := map[string]bool{}
	if r.Definition != nil {
		for _, in := range r.Definition.Inputs {
			named[in.Dataset] = true
		}
	}
	for _, d := range r.Datasets {
		if d.Use != nil {
			named[d.Use.Dataset] = true
		}
	}
	for _, out := range r.DatasetOutputs {
		named[out.Dataset] = true // "" of one without a file
	}
	for _, ref := range slices.Sorted(maps.Keys(named)) {
		missing, err := c.missingData(ref)
		if err != nil {
			return err
		}
		if missing != "" {
			c.note(key, "dataset %s, which the run names, %s", ref, missing)
		}
	}
	return nil
}

// missingData says why there is no dataset of that ID, "" when there is one; it looks
// once, for many runs name the same.
func (c *checker) missingData(ref string) (why string, err error) {
	if ref == "" {
		return "", nil
	}
	if why, known := c.data[ref]; known {
		return why, nil
	}
	if key := datasetKey(ref); key != "" {
		stored, getErr := core.Get[record.Dataset](c.ctx, c.h, key)
		switch {
		case errors.Is(getErr, azml.ErrNotFound):
			why = "is not there"
		case getErr == nil && !stored.Value.Deleted.IsZero():
			why = "was deleted"
		case errors.Is(getErr, azml.ErrUnavailable):
			err = getErr
		}
	} else if there, lookErr := c.exists(definitionKey(ref)); lookErr != nil || !there {
		why, err = "is not there", lookErr
	}
	if err == nil {
		c.data[ref] = why
	}
	return why, err
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
