package prefixed

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// maxName is the greatest length of a secret's name.
const maxName = 127

// secrets is a secret store within a secret store.
type secrets struct {
	inner  backend.Secrets
	prefix string
}

// NewSecrets gives the secrets of inner whose names begin with prefix
// (characters of names, in any case), by the rest of their names. Names that
// get longer than 127 characters by it are ErrInvalid. Listing reads all names
// of inner.
func NewSecrets(inner backend.Secrets, prefix string) backend.Secrets {
	return &secrets{inner, prefix}
}

// Unwrap gives the store inside, for backend.As.
func (s *secrets) Unwrap() any { return s.inner }

func (s *secrets) Set(ctx context.Context, name, value string) error {
	full, err := s.full(name)
	if err != nil {
		return err
	}
	return s.inner.Set(ctx, full, value)
}

func (s *secrets) Get(ctx context.Context, name string) (string, error) {
	full, err := s.full(name)
	if err != nil {
		return "", err
	}
	return s.inner.Get(ctx, full)
}

func (s *secrets) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for name, err := range s.inner.List(ctx) {
			n := len(s.prefix)
			within := len(name) > n && strings.EqualFold(name[:n], s.prefix)
			if within {
				name = name[n:]
			}
			if (within || err != nil) && !yield(name, err) {
				return
			}
		}
	}
}

func (s *secrets) Delete(ctx context.Context, name string) error {
	full, err := s.full(name)
	if err != nil {
		return err
	}
	return s.inner.Delete(ctx, full)
}

func (s *secrets) full(name string) (string, error) {
	if len(s.prefix)+len(name) > maxName {
		return "", fmt.Errorf("%w: name of secret is longer than %d characters with the prefix %q: %q", azml.ErrInvalid, maxName, s.prefix, name)
	}
	return s.prefix + name, nil
}
