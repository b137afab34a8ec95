package keyvault_test

import (
	"context"
	"crypto/rand"
	"errors"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/keyvault"
	"github.com/azml-go/azml/backend/keyvault/keyvaulttest"
	"github.com/azml-go/azml/backend/prefixed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts a vault that ends with the test.
func start(t *testing.T, opts *keyvaulttest.Options) *keyvaulttest.Vault {
	t.Helper()
	v := keyvaulttest.Start(opts)
	t.Cleanup(v.Close)
	return v
}

// open makes a store in the vault, as another process would.
func open(t *testing.T, v *keyvaulttest.Vault) *keyvault.Store {
	t.Helper()
	client := v.ClientOptions()
	client.Retry.MaxRetries = 40
	s, err := keyvault.New(v.URL(), v.Credential(), &keyvault.Options{Client: client})
	require.NoError(t, err)
	return s
}

func TestSuite(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]keyvaulttest.Options{
		"plain":                {},
		"slow to settle":       {SettleTime: 30 * time.Millisecond},
		"purge protection":     {PurgeProtection: true},
		"no right to recover":  {Permissions: without(keyvaulttest.PermissionRecover)},
		"no right to purge":    {Permissions: without(keyvaulttest.PermissionPurge)},
		"behind a bad network": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := name == "behind a bad network"
			backendtest.Secrets(t, func(t *testing.T) backendtest.SecretsHarness {
				opts := opts
				if bad {
					opts.Wrap = badNetwork(t)
				}
				v := start(t, &opts)
				return backendtest.SecretsHarness{Secrets: open(t, v), Retried: bad, Reopen: func() (backend.Secrets, error) { return open(t, v), nil }}
			})
		})
	}
}

// without gives all permissions but one.
func without(left keyvaulttest.Permission) (rest []keyvaulttest.Permission) {
	for _, p := range []keyvaulttest.Permission{keyvaulttest.PermissionGet, keyvaulttest.PermissionList, keyvaulttest.PermissionSet,
		keyvaulttest.PermissionDelete, keyvaulttest.PermissionRecover, keyvaulttest.PermissionPurge} {
		if p != left {
			rest = append(rest, p)
		}
	}
	return rest
}

// badNetwork makes about every fourth request fail: before the vault acts, or
// after it, with its answer lost or cut off.
func badNetwork(t *testing.T) func(http.Handler) http.Handler {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var mu sync.Mutex
	random := mathrand.New(mathrand.NewPCG(seed, 0))
	return func(vault http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			fate := random.IntN(24)
			mu.Unlock()
			switch fate {
			case 0: // reset before the vault acts
				panic(http.ErrAbortHandler)
			case 1: // reset after it
				vault.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			case 2: // cut off
				w.Header().Set("Content-Length", "9999")
				vault.ServeHTTP(w, r)
			case 3:
				w.WriteHeader(http.StatusServiceUnavailable)
			case 4: // done all the same
				vault.ServeHTTP(httptest.NewRecorder(), r)
				w.WriteHeader(http.StatusGatewayTimeout)
			case 5:
				w.WriteHeader(http.StatusTooManyRequests)
			default:
				vault.ServeHTTP(w, r)
			}
		})
	}
}

// TestSuiteInSharedVault runs the suite under a prefix in a vault that holds
// secrets of others.
func TestSuiteInSharedVault(t *testing.T) {
	t.Parallel()
	const prefix = "Team-"
	v := start(t, nil)
	v.AddManaged("team-certificate", "key")
	others := open(t, v)
	for _, name := range []string{"a", "teams", "zz"} {
		require.NoError(t, others.Set(t.Context(), name, "foreign"))
	}
	backendtest.Secrets(t, func(t *testing.T) backendtest.SecretsHarness {
		own := prefix + strings.ToLower(rand.Text()[:8]) + "-"
		return backendtest.SecretsHarness{Secrets: prefixed.NewSecrets(open(t, v), own), MaxNameLen: 127 - len(own)}
	})
	t.Cleanup(func() { require.GreaterOrEqual(t, v.Requests()["SetSecret"], 3) })
}

// TestSuiteOnNamedVault runs the suite on the vault, or the emulator of one, that
// AZML_TEST_KEYVAULT_URL names, with the credential of the environment, or the
// token in AZML_TEST_KEYVAULT_TOKEN. What it makes is deleted and, where that is
// allowed, purged.
func TestSuiteOnNamedVault(t *testing.T) {
	vaultURL := os.Getenv("AZML_TEST_KEYVAULT_URL")
	if vaultURL == "" {
		t.Skip("AZML_TEST_KEYVAULT_URL names no vault")
	}
	t.Parallel()
	credential, client := named(t)
	backendtest.Secrets(t, func(t *testing.T) backendtest.SecretsHarness {
		prefix := "azml-test-" + strings.ToLower(rand.Text()[:10]) + "-"
		reopen := func() (backend.Secrets, error) {
			s, err := keyvault.New(vaultURL, credential, &keyvault.Options{Client: client})
			if err != nil {
				return nil, err
			}
			return prefixed.NewSecrets(s, prefix), nil
		}
		s, err := reopen()
		require.NoError(t, err)
		t.Cleanup(func() { clearUp(t, vaultURL, credential, client, prefix) })
		return backendtest.SecretsHarness{Secrets: s, Reopen: reopen, MaxNameLen: 127 - len(prefix)}
	})
}

// named gives the credential and the options for the named vault.
func named(t *testing.T) (azcore.TokenCredential, azsecrets.ClientOptions) {
	t.Helper()
	connections := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(connections.CloseIdleConnections)
	shared := azcore.ClientOptions{Transport: &http.Client{Transport: connections}}
	if token := os.Getenv("AZML_TEST_KEYVAULT_TOKEN"); token != "" {
		return fixed(token), azsecrets.ClientOptions{ClientOptions: shared, DisableChallengeResourceVerification: true}
	}
	credential, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: shared})
	require.NoError(t, err)
	return credential, azsecrets.ClientOptions{ClientOptions: shared}
}

// fixed is a token that is known.
type fixed string

// GetToken implements azcore.TokenCredential.
func (f fixed) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(f), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// clearUp deletes the secrets under the prefix and purges those it may.
func clearUp(t *testing.T, vaultURL string, credential azcore.TokenCredential, client azsecrets.ClientOptions, prefix string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	s, err := keyvault.New(vaultURL, credential, &keyvault.Options{Client: client})
	require.NoError(t, err)
	under := prefixed.NewSecrets(s, prefix)
	for name, err := range under.List(ctx) {
		require.NoError(t, err)
		require.NoError(t, under.Delete(ctx, name))
	}
	sdk, err := azsecrets.NewClient(vaultURL, credential, &client)
	require.NoError(t, err)
	pager := sdk.NewListDeletedSecretPropertiesPager(nil)
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return // some may not list what is deleted
		}
		for _, deleted := range page.Value {
			if name := deleted.ID.Name(); strings.HasPrefix(strings.ToLower(name), prefix) {
				_, _ = sdk.PurgeDeletedSecret(ctx, name, nil)
			}
		}
	}
}

// TestFaultsAreNotRetriedTwice holds that nothing but the pipeline tries again.
func TestFaultsAreNotRetriedTwice(t *testing.T) {
	t.Parallel()
	v := start(t, nil)
	client := v.ClientOptions()
	client.Retry.MaxRetries = 2
	s, err := keyvault.New(v.URL(), v.Credential(), &keyvault.Options{Client: client})
	require.NoError(t, err)
	require.NoError(t, s.Set(t.Context(), "a", "1"))
	v.Throttle(3, 0)
	_, err = s.Get(t.Context(), "a")
	require.ErrorIs(t, err, azml.ErrUnavailable)
	require.ErrorContains(t, err, "Throttled")
	require.Equal(t, 3, v.Requests()["Throttled"])
	got, err := s.Get(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, "1", got)
	answer, ok := errors.AsType[*azcore.ResponseError](func() error { _, err := s.Get(t.Context(), "none"); return err }())
	require.True(t, ok, "the SDK's error can be had")
	require.Equal(t, "SecretNotFound", answer.ErrorCode)
}
