package workspace

import (
	"context"
	"iter"
	"strings"

	"github.com/azml-go/azml/internal/core"
)

// Secrets leads to the workspace's secret store.
func (w *Workspace) Secrets() *Secrets { return &Secrets{w.h} }

// Secrets sets, reads and deletes secrets of a workspace. Names are 1 to 127
// letters, digits or "-". Values are written to the secret store only and
// appear in no record, log or error. It is safe for concurrent use.
type Secrets struct{ h core.Handle }

const secretKind = "secret"

// Set stores the value under the name, replacing an older one.
func (s *Secrets) Set(ctx context.Context, name, value string) (err error) {
	defer s.h.Operation(&ctx, &err, "set", secretKind, name)()
	if err := core.SecretName.Check(name); err != nil {
		return err
	}
	return s.h.Audit(ctx, "set", core.Ref{Kind: secretKind, Name: name}, "", func() error {
		return s.h.Secrets().Set(ctx, name, value)
	})
}

// Get gives the value. Errors: ErrNotFound; ErrDenied, also when it is disabled
// or has expired in a key vault.
func (s *Secrets) Get(ctx context.Context, name string) (_ string, err error) {
	defer s.h.Operation(&ctx, &err, "get", secretKind, name)()
	if err := core.SecretName.Check(name); err != nil {
		return "", err
	}
	return s.h.Secrets().Get(ctx, name)
}

// GetMany gives the values of the secrets that are there, by their names as they
// are given; the others are missing. The requests go out several at once. Errors:
// those of Get but ErrNotFound.
func (s *Secrets) GetMany(ctx context.Context, names ...string) (_ map[string]string, err error) {
	defer s.h.Operation(&ctx, &err, "get", secretKind, strings.Join(names, ", "))()
	return core.SecretValues(ctx, s.h, names)
}

// List yields the names of the secrets, never their values.
func (s *Secrets) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for name, err := range s.h.Secrets().List(ctx) {
			core.Wrap(&err, "list", secretKind, "")
			if !yield(name, err) || err != nil {
				return
			}
		}
	}
}

// Delete removes the secret. Errors: ErrNotFound.
func (s *Secrets) Delete(ctx context.Context, name string) (err error) {
	defer s.h.Operation(&ctx, &err, "delete", secretKind, name)()
	if err := core.SecretName.Check(name); err != nil {
		return err
	}
	return s.h.Audit(ctx, "delete", core.Ref{Kind: secretKind, Name: name}, "", func() error {
		return s.h.Secrets().Delete(ctx, name)
	})
}
