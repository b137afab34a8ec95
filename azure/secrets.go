package azure

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/keyvault"
	"github.com/azml-go/azml/workspace"
)

// VaultURL gives the URL of a key vault by its name in the public cloud, by its
// host, or by its URL. Errors: ErrInvalid.
func VaultURL(name string) (string, error) {
	switch {
	case IsURL(name):
		return strings.ToLower(strings.TrimSuffix(name, "/")), nil
	case strings.Contains(name, "."):
		return "https://" + strings.ToLower(name), nil
	case !vaultName().MatchString(name):
		return "", fmt.Errorf("%w: key vaults have names of 3 to 24 letters, digits and \"-\"", azml.ErrInvalid)
	}
	return "https://" + strings.ToLower(name) + ".vault.azure.net", nil
}

// vaultDomains are those of Azure's own key vaults, in all its clouds.
var vaultDomains = []string{".vault.azure.net", ".vault.azure.cn", ".vault.usgovcloudapi.net"}

// knownVault tells whether what is sent to the vault goes to Azure.
func knownVault(vault string) bool {
	u, err := url.Parse(vault)
	return err == nil && slices.ContainsFunc(vaultDomains, func(domain string) bool { return strings.HasSuffix(u.Host, domain) })
}

// localVault tells whether a vault is at this machine, as an emulator is. It must show a
// certificate that the machine trusts, which no public authority gives for its addresses.
func localVault(vault string) bool {
	u, err := url.Parse(vault)
	return err == nil && u.Scheme == "https" && loopback(u.Hostname())
}

// secrets puts the secret store that the caller or the URL names into the
// config, and else how to open the one that the workspace names.
func (p place) secrets(config *workspace.Config, opts *Options) error {
	switch {
	case opts.Secrets != nil:
		config.Secrets = opts.Secrets
		return nil
	case p.vault == "":
		config.OpenSecrets = func(stored string) (backend.Secrets, error) { return openStored(stored, opts) }
		return nil
	}
	vault, err := openVault(p.vault, opts)
	if err != nil {
		return err
	}
	config.Secrets, config.Vault = vault, vault.URL()
	return nil
}

// openStored opens the vault that the record of a workspace names, which anybody
// may have written who writes to the container.
func openStored(vault string, opts *Options) (backend.Secrets, error) {
	switch {
	case vault == "":
		return noSecrets{}, nil
	case !knownVault(vault):
		return nil, fmt.Errorf("%w: the workspace keeps its secrets in the key vault %s, which is no host of Azure's, and would get your credentials: if you trust it, name it yourself, by ?vault= in the workspace's URL", azml.ErrInvalid, vault)
	}
	return openVault(vault, opts)
}

// openVault opens a vault that the caller names, or one of Azure's.
func openVault(vault string, opts *Options) (*keyvault.Store, error) {
	var o keyvault.Options
	if opts.Vault != nil {
		o = *opts.Vault
	}
	credential := opts.Credential
	if credential == nil {
		var err error
		if credential, err = defaultCredential(); err != nil {
			return nil, err
		}
	}
	if localVault(vault) {
		o.Client.DisableChallengeResourceVerification = true // an emulator's resource is not its own
		credential = vaultTokens{credential}
	}
	return keyvault.New(vault, credential, &o)
}

// vaultTokens gives tokens for key vaults, whatever the server asks for: one at this
// machine may ask for any resource, and no verification stops it.
type vaultTokens struct{ inner azcore.TokenCredential }

// GetToken implements azcore.TokenCredential.
func (v vaultTokens) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	o.Scopes = []string{"https://vault.azure.net/.default"}
	return v.inner.GetToken(ctx, o)
}

// checkVault asks for a secret that need not be there, which the caller must be
// allowed to do.
func checkVault(ctx context.Context, secrets backend.Secrets) error {
	if secrets == nil { // none was named
		return nil
	}
	_, err := secrets.Get(ctx, "azml-doctor")
	if err == nil || errors.Is(err, azml.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("the secret store of the workspace: %w", err)
}

// noSecrets is the secret store of a workspace without one.
type noSecrets struct{}

var errNoSecrets = fmt.Errorf("%w: the workspace has no secret store: give it a key vault by `azml workspace update --vault NAME`, or name one by ?vault=NAME in its URL", azml.ErrUnsupported)

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
