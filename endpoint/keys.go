package endpoint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// Key names one of the two keys of an endpoint.
type Key string

// The keys of an endpoint. Both are valid at any time.
const (
	// PrimaryKey is the first key.
	PrimaryKey Key = "Primary"
	// SecondaryKey is the second key, to be used while the first is replaced.
	SecondaryKey Key = "Secondary"
)

// Keys are the keys of an endpoint. They are shown as "REDACTED" wherever they
// are printed whole.
type Keys struct {
	// Primary is the primary key.
	Primary string
	// Secondary is the secondary key.
	Secondary string
}

// String gives "REDACTED".
func (Keys) String() string { return "REDACTED" }

// GoString gives "REDACTED".
func (Keys) GoString() string { return "REDACTED" }

// each gives both keys, the primary one first.
func (k Keys) each() iter.Seq2[Key, string] {
	return func(yield func(Key, string) bool) {
		_ = yield(PrimaryKey, k.Primary) && yield(SecondaryKey, k.Secondary)
	}
}

// secretName gives the name of the key in the secret store.
func secretName(r *record.Endpoint, which Key) string {
	return r.KeySecret(strings.ToLower(string(which)))
}

// keyBytes is the length of a random key.
const keyBytes = 24

// The lengths of keys that somebody has chosen.
const (
	shortestKey = 8
	longestKey  = 1024
)

// checkKey tells what is wrong with a key that somebody has chosen, without saying it.
func checkKey(which Key, value string) error {
	printable := !strings.ContainsFunc(value, func(c rune) bool { return c <= ' ' || c >= 0x7f })
	if printable && len(value) >= shortestKey && len(value) <= longestKey {
		return nil
	}
	return fmt.Errorf("%w: the %s key: use %d to %d letters, digits and other characters of ASCII without spaces", azml.ErrInvalid, which, shortestKey, longestKey)
}

// checkKeys tells what is wrong with the keys that somebody has chosen for an endpoint; an
// empty one stays as it is, if there is any.
func (c *Client) checkKeys(ctx context.Context, name string, chosen Keys) error {
	for which, value := range chosen.each() {
		if value == "" {
			continue
		}
		if err := checkKey(which, value); err != nil {
			return err
		}
	}
	if (chosen.Primary == "") != (chosen.Secondary == "") {
		now, err := c.keysNow(ctx, name)
		if err != nil {
			return err
		}
		chosen = Keys{Primary: cmp.Or(chosen.Primary, now.Primary), Secondary: cmp.Or(chosen.Secondary, now.Secondary)}
	}
	if chosen.Primary != "" && chosen.Primary == chosen.Secondary {
		return fmt.Errorf("%w: the %s key is the same as the %s one: use another, so that either can be replaced alone", azml.ErrInvalid, PrimaryKey, SecondaryKey)
	}
	return nil
}

// keysNow gives the keys of the endpoint of that name, none when it is not there.
func (c *Client) keysNow(ctx context.Context, name string) (Keys, error) {
	e, err := c.Get(ctx, name, nil)
	if err != nil {
		return Keys{}, unlessMissing(err)
	}
	keys, err := e.Keys(ctx)
	return keys, unlessMissing(err)
}

// unlessMissing passes over that something is not there.
func unlessMissing(err error) error {
	if errors.Is(err, azml.ErrNotFound) {
		return nil
	}
	return err
}

// setKeys stores the keys of an endpoint; empty ones are drawn at random, unless
// it has some.
func (c *Client) setKeys(ctx context.Context, r *record.Endpoint, chosen Keys) error {
	for which, value := range chosen.each() {
		if value == "" {
			if _, err := c.h.Secrets().Get(ctx, secretName(r, which)); err == nil {
				continue // an endpoint that is deployed anew keeps its keys
			} else if !errors.Is(err, azml.ErrNotFound) {
				return err
			}
			value = core.NewID(keyBytes)
		}
		if err := c.h.Secrets().Set(ctx, secretName(r, which), value); err != nil {
			return err
		}
	}
	return nil
}

// dropKeys removes the keys of an endpoint.
func (c *Client) dropKeys(ctx context.Context, r *record.Endpoint) error {
	for _, which := range []Key{PrimaryKey, SecondaryKey} {
		if err := c.h.Secrets().Delete(ctx, secretName(r, which)); err != nil && !errors.Is(err, azml.ErrNotFound) {
			return err
		}
	}
	return nil
}

// Keys reads the endpoint's keys from the secret store. Errors: ErrNotFound.
func (e *Endpoint) Keys(ctx context.Context) (_ Keys, err error) {
	defer e.h.Operation(&ctx, &err, "get keys of", kind, e.Name())()
	r := e.record()
	primary, err := e.h.Secrets().Get(ctx, secretName(&r, PrimaryKey))
	if err != nil {
		return Keys{}, err
	}
	secondary, err := e.h.Secrets().Get(ctx, secretName(&r, SecondaryKey))
	return Keys{Primary: primary, Secondary: secondary}, err
}

// keyTime bounds how long RegenerateKey waits for the serving processes.
const keyTime = 10 * time.Second

// RegenerateKey replaces one of the keys by value, or by a random one when
// value is empty, and gives it. A value is 8 to 1,024 characters of ASCII without spaces,
// and not the other key. It returns when all processes that serve the
// endpoint accept the new key and no longer the old one. Tokens that were made with the old one end with it. Errors: ErrInvalid,
// ErrNotFound, ErrUnavailable when such a process does not react.
func (e *Endpoint) RegenerateKey(ctx context.Context, which Key, value string) (_ string, err error) {
	defer e.h.Operation(&ctx, &err, "regenerate key of", kind, e.Name())()
	if which != PrimaryKey && which != SecondaryKey {
		return "", fmt.Errorf("%w: key %q: use Primary or Secondary", azml.ErrInvalid, which)
	}
	chosen := Keys{Primary: value}
	if which == SecondaryKey {
		chosen = Keys{Secondary: value}
	}
	if err := NewClient(e.h).checkKeys(ctx, e.Name(), chosen); err != nil {
		return "", err
	}
	if value == "" {
		value = core.NewID(keyBytes)
	}
	r := e.record()
	err = e.h.Audit(ctx, "update", ref(r.Name), string(which)+" key", func() error {
		return e.h.Secrets().Set(ctx, secretName(&r, which), value)
	})
	if err != nil {
		return "", err
	}
	stored, err := core.Update(ctx, e.h, ref(e.Name()), core.Quiet, func(r *record.Endpoint) error {
		r.KeyVersion++
		return nil
	})
	if err != nil {
		return "", err
	}
	return value, e.awaitKeys(ctx, stored.Value.KeyVersion)
}

func (e *Endpoint) awaitKeys(ctx context.Context, version int) error {
	deadline := time.Now().Add(keyTime)
	for {
		if err := e.Refresh(ctx); err != nil {
			return err
		}
		if e.haveKeys(version) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: a process that serves the endpoint did not take the new key within %s", azml.ErrUnavailable, keyTime)
		}
		select {
		case <-time.After(watchEvery / 4):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// haveKeys tells whether all who serve the endpoint have the keys of that
// version. Who does not answer yet loads them before it does.
func (e *Endpoint) haveKeys(version int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, host := range e.alive() {
		if host.URL != "" && host.KeyVersion < version {
			return false
		}
	}
	return true
}
