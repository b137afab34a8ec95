package backendtest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// secretHooks replace single methods of a secret store; nil ones are left.
type secretHooks struct {
	set    func(context.Context, string, string) error
	delete func(context.Context, string) error
	list   func(context.Context) iter.Seq2[string, error]
	ctx    func(context.Context) context.Context
}

// hookedSecrets is a secret store with hooks.
type hookedSecrets struct {
	inner backend.Secrets
	secretHooks
}

func wrappedSecrets(inner backend.Secrets, h secretHooks) SecretsHarness {
	if h.ctx == nil {
		h.ctx = func(ctx context.Context) context.Context { return ctx }
	}
	if h.set == nil {
		h.set = inner.Set
	}
	if h.delete == nil {
		h.delete = inner.Delete
	}
	if h.list == nil {
		h.list = inner.List
	}
	s := &hookedSecrets{inner, h}
	return SecretsHarness{Secrets: s, Reopen: func() (backend.Secrets, error) { return s, nil }}
}

func (h *hookedSecrets) Set(ctx context.Context, name, value string) error {
	return h.set(h.ctx(ctx), name, value)
}

func (h *hookedSecrets) Get(ctx context.Context, name string) (string, error) {
	return h.inner.Get(h.ctx(ctx), name)
}

func (h *hookedSecrets) Delete(ctx context.Context, name string) error {
	return h.delete(h.ctx(ctx), name)
}

func (h *hookedSecrets) List(ctx context.Context) iter.Seq2[string, error] {
	return h.list(h.ctx(ctx))
}

// brokenVault is a secret store with one mistake, and the group that must find
// it.
type brokenVault struct {
	name, group string
	hooks       func(inner backend.Secrets) secretHooks
}

func (b brokenVault) open(inner backend.Secrets) SecretsHarness {
	return wrappedSecrets(inner, b.hooks(inner))
}

func brokenSecrets() []brokenVault {
	return []brokenVault{
		{"trims values", "values", func(s backend.Secrets) secretHooks {
			return secretHooks{set: func(ctx context.Context, name, value string) error { return s.Set(ctx, name, strings.TrimSpace(value)) }}
		}},
		{"keeps the old value", "values", func(s backend.Secrets) secretHooks {
			return secretHooks{set: func(ctx context.Context, name, value string) error {
				if _, err := s.Get(ctx, name); err == nil {
					return nil
				}
				return s.Set(ctx, name, value)
			}}
		}},
		{"Delete of missing gives nil", "values", func(s backend.Secrets) secretHooks {
			return secretHooks{delete: func(ctx context.Context, name string) error {
				if err := s.Delete(ctx, name); !errors.Is(err, azml.ErrNotFound) {
					return err
				}
				return nil
			}}
		}},
		{"spells as the last Set", "names", func(s backend.Secrets) secretHooks {
			return secretHooks{set: func(ctx context.Context, name, value string) error {
				if err := s.Delete(ctx, name); err != nil && !errors.Is(err, azml.ErrNotFound) {
					return err
				}
				return s.Set(ctx, name, value)
			}}
		}},
		{"lists by bytes", "list", func(s backend.Secrets) secretHooks {
			return secretHooks{list: func(ctx context.Context) iter.Seq2[string, error] {
				return func(yield func(string, error) bool) {
					names := []string{}
					for name, err := range s.List(ctx) {
						if err != nil {
							yield("", err)
							return
						}
						names = append(names, name)
					}
					slices.Sort(names)
					for _, name := range names {
						if !yield(name, nil) {
							return
						}
					}
				}
			}}
		}},
		{"ignores cancellation", "cancellation", func(backend.Secrets) secretHooks { return secretHooks{ctx: context.WithoutCancel} }},
	}
}
