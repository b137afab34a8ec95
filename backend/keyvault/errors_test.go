package keyvault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azlog "github.com/Azure/azure-sdk-for-go/sdk/azcore/log"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/keyvault"
	"github.com/azml-go/azml/backend/keyvault/keyvaulttest"
)

// signedOut is a credential that gives no token.
type signedOut struct{}

// GetToken implements azcore.TokenCredential.
func (signedOut) GetToken(ctx context.Context, opts policy.TokenRequestOptions) (azcore.AccessToken, error) {
	none, err := azidentity.NewChainedTokenCredential([]azcore.TokenCredential{unavailable{}}, nil)
	if err != nil {
		return azcore.AccessToken{}, err
	}
	return none.GetToken(ctx, opts)
}

type unavailable struct{}

// GetToken implements azcore.TokenCredential.
func (unavailable) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{}, azidentity.NewCredentialUnavailableError("nobody is signed in")
}

// answering serves the answer for all requests that come with a token.
func answering(status int, body string) func(http.Handler) http.Handler {
	return func(vault http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "" {
				vault.ServeHTTP(w, r)
				return
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	inner := func(code string) string {
		return fmt.Sprintf(`{"error":{"code":"Forbidden","message":"…","innererror":{"code":%q}}}`, code)
	}
	for name, tc := range map[string]struct {
		opts       keyvaulttest.Options
		credential azcore.TokenCredential // the vault's when nil
		client     func(*keyvaulttest.Vault, *keyvault.Options)
		want       error
		text       string
	}{
		"no role":           {opts: keyvaulttest.Options{Permissions: []keyvaulttest.Permission{}}, want: azml.ErrDenied, text: `ask for the role "Key Vault Secrets Officer"`},
		"firewall":          {opts: keyvaulttest.Options{Wrap: answering(403, inner("ForbiddenByFirewall"))}, want: azml.ErrDenied, text: "firewall does not let this machine in"},
		"vault disabled":    {opts: keyvaulttest.Options{Wrap: answering(403, inner("VaultDisabled"))}, want: azml.ErrDenied, text: "the vault is disabled"},
		"wrong tenant":      {credential: fixed("of another tenant"), want: azml.ErrDenied, text: "az login --tenant"},
		"signed out":        {credential: signedOut{}, want: azml.ErrDenied, text: "sign in (az login)"},
		"no such vault":     {client: dialing(&net.DNSError{Err: "no such host", Name: "vault.example.com", IsNotFound: true}), want: azml.ErrUnavailable, text: "no such vault, or no network"},
		"no network":        {client: dialing(errors.New("network is unreachable")), want: azml.ErrUnavailable, text: "did not answer"},
		"untrusted":         {client: distrust, want: azml.ErrDenied, text: "certificate is not trusted"},
		"broken":            {opts: keyvaulttest.Options{Wrap: answering(503, "")}, want: azml.ErrUnavailable, text: "answered 503"},
		"not a vault":       {opts: keyvaulttest.Options{Wrap: answering(405, "<html>")}, want: azml.ErrInvalid, text: "is this the URL of a key vault?"},
		"no vault's answer": {opts: keyvaulttest.Options{Wrap: answering(200, "<html>")}, want: azml.ErrUnavailable},
		"challenge of others": {client: func(v *keyvaulttest.Vault, o *keyvault.Options) {
			o.Client.Transport = elsewhere{v.ClientOptions().Transport}
		}, want: azml.ErrDenied, text: "doesn't match"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := start(t, &tc.opts)
			opts := &keyvault.Options{Client: v.ClientOptions()}
			opts.Client.Retry.MaxRetries = 1
			if tc.client != nil {
				tc.client(v, opts)
			}
			credential := tc.credential
			if credential == nil {
				credential = v.Credential()
			}
			s, err := keyvault.New(v.URL(), credential, opts)
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			_, err = s.Get(ctx, "a")
			failures := map[string]error{"get": err, "set": s.Set(ctx, "a", "hunter2"), "delete": s.Delete(ctx, "a")}
			for _, err := range s.List(ctx) {
				failures["list"] = err
			}
			for verb, err := range failures {
				if verb == "delete" && name == "no vault's answer" {
					continue // DELETE's answer is not looked at
				}
				require.ErrorIs(t, err, tc.want, verb)
				require.ErrorContains(t, err, tc.text, verb)
				require.ErrorContains(t, err, "vault.example.com", verb)
				require.NotContains(t, err.Error(), "\n", verb)
				require.NotContains(t, err.Error(), "api-version", verb)
				require.NotContains(t, err.Error(), "hunter2", verb)
			}
		})
	}
}

// dialing makes every connection fail.
func dialing(err error) func(*keyvaulttest.Vault, *keyvault.Options) {
	return func(_ *keyvaulttest.Vault, o *keyvault.Options) {
		o.Client.Transport = &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, err }}}
	}
}

// TestNamesThatNobodyKnows are looked up once: no further try mends them.
func TestNamesThatNobodyKnows(t *testing.T) {
	t.Parallel()
	dialed := 0
	opts := &keyvault.Options{}
	opts.Client.Transport = &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		dialed++
		return nil, &net.DNSError{Err: "no such host", Name: "contoso.vault.azure.net", IsNotFound: true}
	}}}
	s, err := keyvault.New("https://contoso.vault.azure.net", fixed("token"), opts)
	require.NoError(t, err)
	_, err = s.Get(t.Context(), "a")
	require.ErrorIs(t, err, azml.ErrUnavailable)
	require.Equal(t, 1, dialed)
}

// distrust reaches the vault and trusts this machine's authorities only.
func distrust(v *keyvaulttest.Vault, o *keyvault.Options) {
	address := strings.TrimPrefix(v.LocalURL(), "https://")
	o.Client.Transport = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}}
}

// elsewhere makes the vault's challenge name the resource of another service.
type elsewhere struct{ policy.Transporter }

// Do implements policy.Transporter.
func (e elsewhere) Do(r *http.Request) (*http.Response, error) {
	answer, err := e.Transporter.Do(r)
	if err == nil {
		answer.Header.Set("WWW-Authenticate", strings.ReplaceAll(answer.Header.Get("WWW-Authenticate"), `resource="https://example.com"`, `resource="https://evil.example.net"`))
	}
	return answer, err
}

const value = "hunter2-correct-horse"

// TestErrorsSayNoValue looks for the value and the token in every error, in every
// way of formatting it, with a server that says back whatever it gets.
func TestErrorsSayNoValue(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 401, 403, 404, 409, 413, 418, 429, 500} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			v := start(t, &keyvaulttest.Options{Wrap: func(vault http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodGet {
						vault.ServeHTTP(w, r)
						return
					}
					body, _ := io.ReadAll(r.Body)
					w.WriteHeader(status)
					fmt.Fprintf(w, `{"error":{"code":%q,"message":%q,"innererror":{"code":%q}}}`, value+"!", body, value+"?")
				})
			}})
			opts := &keyvault.Options{Client: v.ClientOptions()}
			opts.Client.Retry.MaxRetries = 1
			s, err := keyvault.New(v.URL(), v.Credential(), opts)
			require.NoError(t, err)
			_, err = s.Get(t.Context(), "a")
			require.ErrorIs(t, err, azml.ErrNotFound, "the token is known")
			err = s.Set(t.Context(), "a", value)
			require.Error(t, err)
			require.NotNil(t, azml.ClassOf(err))
			for _, form := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
				for _, what := range []any{err, s, *s} {
					text := fmt.Sprintf(form, what)
					require.NotContains(t, text, value)
					require.NotContains(t, text, v.Token())
				}
			}
		})
	}
}

// TestLogsSayNoValue looks for the value and the token in all that the SDK logs,
// also when it was told to log bodies.
func TestLogsSayNoValue(t *testing.T) { // not parallel: the SDK's log is of the process
	var mu sync.Mutex
	var logged strings.Builder
	azlog.SetListener(func(e azlog.Event, text string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(&logged, e, text)
	})
	defer azlog.SetListener(nil)
	v := start(t, nil)
	opts := &keyvault.Options{Client: v.ClientOptions()}
	opts.Client.Logging.IncludeBody = true
	s, err := keyvault.New(v.URL(), v.Credential(), opts)
	require.NoError(t, err)
	require.NoError(t, s.Set(t.Context(), "a", value))
	got, err := s.Get(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, value, got)
	mu.Lock()
	defer mu.Unlock()
	require.Contains(t, logged.String(), "/secrets/a", "the log is seen")
	require.NotContains(t, logged.String(), value)
	require.NotContains(t, logged.String(), v.Token())
}
