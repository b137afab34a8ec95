package azure

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/keyvault"
)

// secrets gives the workspace's secret store.
func (p place) secrets(opts *Options) (backend.Secrets, error) {
	switch {
	case opts.Secrets != nil:
		return opts.Secrets, nil
	case p.vault == "":
		return noSecrets{}, nil
	}
	var o keyvault.Options
	if opts.Vault != nil {
		o = *opts.Vault
	}
	if u, err := url.Parse(p.vault); err == nil && loopback(u.Hostname()) {
		// The resource of an emulator is not its own. Any other server would get a
		// token for whatever it asks for.
		o.Client.DisableChallengeResourceVerification = true
	}
	credential := opts.Credential
	if credential == nil {
		var err error
		if credential, err = defaultCredential(); err != nil {
			return nil, err
		}
	}
	return keyvault.New(p.vault, credential, &o)
}

// checkVault asks for a secret that need not be there, which the caller must be
// allowed to do.
func checkVault(ctx context.Context, secrets backend.Secrets) error {
	_, err := secrets.Get(ctx, "azml-doctor")
	if err == nil || errors.Is(err, azml.ErrNotFound) || errors.Is(err, errNoSecrets) {
		return nil
	}
	return fmt.Errorf("the secret store of the workspace: %w", err)
}

// noSecrets is the secret store of a workspace without one.
type noSecrets struct{}

var errNoSecrets = fmt.Errorf("%w: the workspace has no secret store: name a key vault by ?vault=NAME in its URL", azml.ErrUnsupported)

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
