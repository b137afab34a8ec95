package azure

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/keyvault"
)

// greedy is a server that asks for a token for another resource, and whoever
// would give it one.
type greedy struct {
	asked  int
	scopes []string
}

func (g *greedy) Do(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusUnauthorized, Request: r, Body: http.NoBody, Header: http.Header{
		"Www-Authenticate": {`Bearer authorization="https://login.microsoftonline.com/x", resource="https://management.azure.com"`}}}, nil
}

func (g *greedy) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	g.asked++
	g.scopes = o.Scopes
	return azcore.AccessToken{}, errors.New("none")
}

// A server gets no token for a resource that isn't it; on this machine it gets one for
// key vaults, whatever it asks for.
func TestVaultGetsNoTokenForOthers(t *testing.T) {
	t.Parallel()
	for url, asked := range map[string]int{"https://192.0.2.2:8443": 0, "https://[2001:db8::1]": 0, "https://contoso.vault.azure.net": 0,
		"https://127.0.0.1:8443": 1, "https://[::1]:8443": 1, "https://localhost": 1} {
		g := &greedy{}
		opts := &Options{Credential: g, Vault: &keyvault.Options{}}
		opts.Vault.Client.Transport = g
		secrets, err := openVault(url, opts)
		require.NoError(t, err)
		_, err = secrets.Get(t.Context(), "foo")
		require.Error(t, err)
		require.Equal(t, asked, g.asked, url)
		if asked > 0 {
			require.Equal(t, []string{"https://vault.azure.net/.default"}, g.scopes)
		}
	}
}

// A vault that a record names gets a token only where Azure is.
func TestStoredVaults(t *testing.T) {
	t.Parallel()
	for url, ok := range map[string]bool{
		"https://contoso.vault.azure.net": true, "https://contoso.vault.azure.cn": true,
		"https://127.0.0.1:8443": false, "https://[::1]:8443": false, "https://localhost": false,
		"https://evil.example.com": false, "https://vault.azure.net.example.com": false, "https://evilvault.azure.net": false, "https://192.0.2.2": false,
		"http://contoso.vault.azure.net": false, "https://me:secret@contoso.vault.azure.net": false, "https://[": false, "x": false,
	} {
		secrets, err := openStored(url, &Options{Credential: &greedy{}})
		if ok {
			require.NoError(t, err, url)
			require.IsType(t, &keyvault.Store{}, secrets)
			continue
		}
		require.ErrorIs(t, err, azml.ErrInvalid, url)
		require.NotContains(t, err.Error(), "secret@")
	}
	secrets, err := openStored("", &Options{})
	require.NoError(t, err)
	require.Equal(t, noSecrets{}, secrets)
}

func TestVaultURL(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Contoso-ml": "https://contoso-ml.vault.azure.net", "contoso.vault.azure.cn": "https://contoso.vault.azure.cn", "https://Contoso.vault.azure.net/": "https://contoso.vault.azure.net",
	} {
		got, err := VaultURL(name)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, name := range []string{"", "a", "a_b", "1abc"} {
		_, err := VaultURL(name)
		require.ErrorIs(t, err, azml.ErrInvalid)
	}
}
