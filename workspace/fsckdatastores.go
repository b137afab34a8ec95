package workspace

import (
	"errors"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/internal/record"
)

// datastore checks that the credentials of a datastore are there. The data is
// not looked at: it is not the workspace's.
func (c *checker) datastore(key string) error {
	r, ok, err := read[record.Datastore](c, key)
	if err != nil || !ok {
		return err
	}
	if key != recordKey("datastore", r.Name) {
		c.problem(key, "it says that it is datastore %q", r.Name)
	}
	if r.Secret == "" {
		return nil
	}
	c.used[strings.ToLower(r.Secret)] = true
	_, err = c.h.Secrets().Get(c.ctx, r.Secret)
	switch {
	case errors.Is(err, azml.ErrNotFound):
		c.gap(key, key, "its credentials, the secret %s, are not there: register it anew", r.Secret)
		return nil
	case errors.Is(err, azml.ErrDamaged):
		c.gap(key, key, "its credentials: %v", err)
		return nil
	}
	return err
}

// checkDatastoreSecrets looks for credentials that no datastore has: whoever
// registered or unregistered one died in between, or is about to write it.
func (c *checker) checkDatastoreSecrets() error {
	for name, err := range c.h.Secrets().List(c.ctx) {
		if err != nil {
			return err
		}
		if strings.HasPrefix(name, datastore.SecretPrefix) && !c.used[strings.ToLower(name)] {
			c.note("secret "+name, "no datastore has these credentials; unless one is being registered, they can be deleted")
		}
	}
	return nil
}
