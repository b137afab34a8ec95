package azure

import (
	"context"
	"fmt"
	"iter"

	"github.com/azml-go/azml"
)

// noSecrets is the secret store of a workspace without one.
type noSecrets struct{}

var errNoSecrets = fmt.Errorf("%w: the workspace has no secret store: give one by Options.Secrets", azml.ErrUnsupported)

// Set implements backend.Secrets.
func (noSecrets) Set(context.Context, string, string) error { return errNoSecrets }

// Get implements backend.Secrets.
func (noSecrets) Get(context.Context, string) (string, error) { return "", errNoSecrets }

// List implements backend.Secrets.
func (noSecrets) List(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { yield("", errNoSecrets) }
}

// Delete implements backend.Secrets.
func (noSecrets) Delete(context.Context, string) error { return errNoSecrets }
