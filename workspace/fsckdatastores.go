package workspace

import (
	"errors"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/record"
)

// datastore checks that the credentials of a datastore are there. What it says
// of the data is not looked at: that is not the workspace's.
func (c *checker) datastore(key string) error {
	r, ok, err := read[record.Datastore](c, key)
	if err != nil || !ok {
		return err
	}
	if key != "datastores/"+r.Name+".json" {
		c.problem(key, "it says that it is datastore %q", r.Name)
	}
	if r.Secret == "" {
		return nil
	}
	if _, err := c.h.Secrets().Get(c.ctx, r.Secret); errors.Is(err, azml.ErrNotFound) {
		c.gap(key, key, "its credentials, the secret %s, are not there: register it again", r.Secret)
		return nil
	} else if errors.Is(err, azml.ErrDamaged) {
		c.gap(key, key, "its credentials: %v", err)
		return nil
	} else {
		return err
	}
}
