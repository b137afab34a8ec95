package faulty

import (
	"context"
	"iter"

	"github.com/azml-go/azml/backend"
)

// Secrets is a secret store that fails by a plan. It is safe for concurrent
// use.
type Secrets struct {
	*faults
	inner backend.Secrets
}

var _ backend.Secrets = (*Secrets)(nil)

// NewSecrets makes inner fail by the plan. A zero plan only counts.
func NewSecrets(inner backend.Secrets, plan Plan) *Secrets {
	return &Secrets{newFaults(plan), inner}
}

// Unwrap gives the store inside, for backend.As.
func (s *Secrets) Unwrap() any { return s.inner }

// Set stores the value, or not, or without saying so.
func (s *Secrets) Set(ctx context.Context, name, value string) error {
	if err := s.begin(ctx, "set secret", name, func(c *Counts) { c.Put++ }); err != nil {
		return err
	}
	return s.write("set secret", name, func() error { return s.inner.Set(ctx, name, value) })
}

// Get gives the value.
func (s *Secrets) Get(ctx context.Context, name string) (string, error) {
	if err := s.begin(ctx, "get secret", name, func(c *Counts) { c.Get++ }); err != nil {
		return "", err
	}
	return s.inner.Get(ctx, name)
}

// Delete removes the secret, or not, or without saying so.
func (s *Secrets) Delete(ctx context.Context, name string) error {
	if err := s.begin(ctx, "delete secret", name, func(c *Counts) { c.Delete++ }); err != nil {
		return err
	}
	return s.write("delete secret", name, func() error { return s.inner.Delete(ctx, name) })
}

// List yields the names; it may break after up to nine of them.
func (s *Secrets) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := s.begin(ctx, "list", "secrets", func(c *Counts) { c.List++ }); err != nil {
			yield("", err)
			return
		}
		after, torn := s.tear(10)
		for name, err := range s.inner.List(ctx) {
			if torn && after == 0 {
				yield("", tornError("secrets"))
				return
			}
			after--
			if !yield(name, err) {
				return
			}
		}
	}
}
