package memory

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Secrets is a secret store in memory. It is safe for concurrent use.
type Secrets struct {
	mu      sync.RWMutex
	secrets map[string]secret // by lower-case name
}

type secret struct{ name, value string }

var _ backend.Secrets = (*Secrets)(nil)

// NewSecrets gives an empty secret store.
func NewSecrets() *Secrets {
	return &Secrets{secrets: map[string]secret{}}
}

// Set stores the value, replacing an older one.
func (s *Secrets) Set(ctx context.Context, name, value string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("set secret %q: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := strings.ToLower(name)
	if old, ok := s.secrets[id]; ok {
		name = old.name
	}
	s.secrets[id] = secret{name, value}
	return nil
}

// Get gives the value. Errors: ErrNotFound.
func (s *Secrets) Get(ctx context.Context, name string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("get secret %q: %w", name, err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	found, ok := s.secrets[strings.ToLower(name)]
	if !ok {
		return "", fmt.Errorf("%w: secret %q", azml.ErrNotFound, name)
	}
	return found.value, nil
}

// List yields the names, sorted by their lower-case form, as they were when
// the listing began.
func (s *Secrets) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		s.mu.RLock()
		secrets := maps.Clone(s.secrets)
		s.mu.RUnlock()
		ids := slices.Sorted(maps.Keys(secrets))
		for i := 0; ; i++ {
			if err := ctx.Err(); err != nil {
				yield("", fmt.Errorf("list secrets: %w", err))
				return
			}
			if i == len(ids) || !yield(secrets[ids[i]].name, nil) {
				return
			}
		}
	}
}

// Delete removes the secret. Errors: ErrNotFound.
func (s *Secrets) Delete(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("delete secret %q: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := strings.ToLower(name)
	if _, ok := s.secrets[id]; !ok {
		return fmt.Errorf("%w: secret %q", azml.ErrNotFound, name)
	}
	delete(s.secrets, id)
	return nil
}
