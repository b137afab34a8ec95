package retrying

import (
	"context"
	"errors"
	"iter"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Secrets is a secret store that tries again. It is safe for concurrent use.
type Secrets struct {
	inner backend.Secrets
	policy
}

var _ backend.Secrets = (*Secrets)(nil)

// NewSecrets makes the calls of inner be tried again. Nil options mean the
// defaults.
func NewSecrets(inner backend.Secrets, opts *Options) *Secrets {
	return &Secrets{inner, newPolicy(opts)}
}

// Unwrap gives the store inside, for backend.As.
func (s *Secrets) Unwrap() any { return s.inner }

// Set stores the value.
func (s *Secrets) Set(ctx context.Context, name, value string) error {
	return s.do(ctx, "set secret", name, func() error { return s.inner.Set(ctx, name, value) })
}

// Get gives the value.
func (s *Secrets) Get(ctx context.Context, name string) (string, error) {
	var value string
	err := s.do(ctx, "get secret", name, func() (err error) {
		value, err = s.inner.Get(ctx, name)
		return err
	})
	return value, err
}

// Delete removes the secret. After a lost answer a secret that is not there
// counts as removed.
func (s *Secrets) Delete(ctx context.Context, name string) error {
	lost := false
	return s.do(ctx, "delete secret", name, func() error {
		err := s.inner.Delete(ctx, name)
		if lost && errors.Is(err, azml.ErrNotFound) {
			return nil
		}
		lost = lost || errors.Is(err, azml.ErrUnavailable)
		return err
	})
}

// List yields the names; a list that breaks is read again, without the names
// that were given already.
func (s *Secrets) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		last := ""
		err := s.do(ctx, "list", "secrets", func() error {
			for name, err := range s.inner.List(ctx) {
				if err != nil {
					return err
				}
				id := strings.ToLower(name)
				if id <= last {
					continue
				}
				last = id
				if !yield(name, nil) {
					return nil
				}
			}
			return nil
		})
		if err != nil {
			yield("", err)
		}
	}
}
