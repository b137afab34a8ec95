package workspace

import (
	"strings"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/registry"
)

func (c *checker) registeredModel(key string) error {
	m, ok, err := read[record.RegisteredModel](c, key)
	if err != nil || !ok {
		return err
	}
	if key != registry.Ref(m.Name).Key {
		c.problem(key, "it says that it is model %q", m.Name)
	}
	if m.NameOf != "" {
		return c.reference(key, "model "+m.NameOf+", which it names,", registry.Ref(m.NameOf).Key)
	}
	for alias, n := range m.Aliases {
		if err := c.reference(key, "the version of alias "+alias, registry.Versions(m.Name).Key(n)); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) model(key string) error {
	c.number(key)
	m, ok, err := read[record.Model](c, key)
	if err != nil || !ok || !m.Deleted.IsZero() {
		return err
	}
	if m.Manifest != "" {
		c.roots = append(c.roots, m.Manifest)
	}
	return c.reference(key, "the record of model "+m.Name, registry.Ref(m.Name).Key)
}

func (c *checker) loggedModel(key string) error {
	m, ok, err := read[record.LoggedModel](c, key)
	if err != nil || !ok {
		return err
	}
	if key != history.LoggedModelRef(m.ID).Key {
		c.problem(key, "it says that it is logged model %q", m.ID)
	}
	if !m.Deleted.IsZero() {
		return nil
	}
	c.logged[m.ID] = true
	if m.FileParts > 0 {
		part := core.Series{Prefix: history.ModelPrefix(m.ID) + "files/"}.Key(m.FileParts)
		if err := c.reference(key, "a part of its files, "+part+",", part); err != nil {
			return err
		}
	}
	return c.reference(key, "experiment "+m.Experiment, history.ExperimentRef(m.Experiment).Key)
}

// loggedModelFiles comes after the logged model's own record, by the order of
// keys. The files of a deleted one may be gone.
func (c *checker) loggedModelFiles(key string) error {
	id, _, _ := strings.Cut(strings.TrimPrefix(key, history.LoggedModelPrefix), "/")
	c.number(key)
	part, ok, err := read[record.Files](c, key)
	if err == nil && ok && c.logged[id] {
		c.part(key, part)
	}
	return err
}

// checkLoggedModels reads all metrics of the logged models.
func (c *checker) checkLoggedModels() error {
	done := 0
	for id := range c.logged {
		c.progress("metrics of logged models", done)
		done++
		log, err := history.ModelMetrics(c.h, id)
		if err != nil {
			return err
		}
		damages, err := log.Verify(c.ctx, nil)
		if err != nil {
			return err
		}
		for _, d := range damages {
			c.gap(history.LoggedModelRef(id).Key, d.Object, "at byte %d: %s", d.Offset, d.Problem)
		}
	}
	return nil
}
