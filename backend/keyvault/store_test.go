package keyvault_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/keyvault"
	"github.com/azml-go/azml/backend/keyvault/keyvaulttest"
)

// sdk gives the SDK's own client of the vault, as other programs have it.
func sdk(t *testing.T, v *keyvaulttest.Vault) *azsecrets.Client {
	t.Helper()
	opts := v.ClientOptions()
	c, err := azsecrets.NewClient(v.URL(), v.Credential(), &opts)
	require.NoError(t, err)
	return c
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	v := start(t, nil)
	for name, vaultURL := range map[string]string{
		"nothing":      "",
		"no scheme":    "contoso.vault.azure.net",
		"http":         "http://contoso.vault.azure.net",
		"a secret":     "https://contoso.vault.azure.net/secrets/a",
		"a query":      "https://contoso.vault.azure.net?sig=hunter2",
		"a user":       "https://me:hunter2@contoso.vault.azure.net",
		"no URL":       "https://contoso\x00hunter2",
		"only a slash": "/",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := keyvault.New(vaultURL, v.Credential(), nil)
			require.ErrorIs(t, err, azml.ErrInvalid)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
	_, err := keyvault.New("https://contoso.vault.azure.net/", nil, nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
	s, err := keyvault.New("https://contoso.vault.azure.net/", v.Credential(), nil)
	require.NoError(t, err)
	require.Equal(t, "https://contoso.vault.azure.net", s.URL())
}

func TestSetAfterDelete(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		opts         keyvaulttest.Options
		versions     int // that the secret has in the end
		recovers     int
		purges       int
		deniedAdvice string
	}{
		"recovers":             {versions: 2, recovers: 1},
		"recovers, protected":  {opts: keyvaulttest.Options{PurgeProtection: true}, versions: 2, recovers: 1},
		"purges":               {opts: keyvaulttest.Options{Permissions: without(keyvaulttest.PermissionRecover)}, versions: 1, recovers: 1, purges: 1},
		"may not, protected":   {opts: keyvaulttest.Options{PurgeProtection: true, Permissions: without(keyvaulttest.PermissionRecover)}, deniedAdvice: "Key Vault Secrets Officer"},
		"may neither":          {opts: keyvaulttest.Options{Permissions: []keyvaulttest.Permission{keyvaulttest.PermissionGet, keyvaulttest.PermissionSet, keyvaulttest.PermissionDelete}}, deniedAdvice: "Recover"},
		"waits for the vault":  {opts: keyvaulttest.Options{SettleTime: 300 * time.Millisecond}, versions: 2, recovers: 1},
		"waits for its purges": {opts: keyvaulttest.Options{SettleTime: 300 * time.Millisecond, Permissions: without(keyvaulttest.PermissionRecover)}, versions: 1, recovers: 1, purges: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := start(t, &tc.opts)
			s := open(t, v)
			require.NoError(t, s.Set(t.Context(), "a", "old"))
			require.NoError(t, s.Delete(t.Context(), "a"))
			_, err := s.Get(t.Context(), "a")
			require.ErrorIs(t, err, azml.ErrNotFound)
			require.ErrorIs(t, s.Delete(t.Context(), "a"), azml.ErrNotFound)
			err = s.Set(t.Context(), "a", "new")
			if tc.deniedAdvice != "" {
				require.ErrorIs(t, err, azml.ErrDenied)
				require.ErrorContains(t, err, tc.deniedAdvice)
				_, err := s.Get(t.Context(), "a")
				require.ErrorIs(t, err, azml.ErrNotFound)
				return
			}
			require.NoError(t, err)
			got, err := s.Get(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, "new", got)
			require.Equal(t, tc.recovers, v.Requests()["RecoverDeletedSecret"])
			require.Equal(t, tc.purges, v.Requests()["PurgeDeletedSecret"])
			if slices.Contains(tc.opts.Permissions, keyvaulttest.PermissionList) || tc.opts.Permissions == nil {
				require.Equal(t, tc.versions, versions(t, v, "a"))
			}
		})
	}
}

func versions(t *testing.T, v *keyvaulttest.Vault, name string) (n int) {
	t.Helper()
	pager := sdk(t, v).NewListSecretPropertiesVersionsPager(name, nil)
	for pager.More() {
		page, err := pager.NextPage(t.Context())
		require.NoError(t, err)
		n += len(page.Value)
	}
	return n
}

func TestUnusableSecrets(t *testing.T) {
	t.Parallel()
	hour := time.Now().Add(time.Hour)
	for name, tc := range map[string]struct {
		attributes azsecrets.SecretAttributes
		want       string // "" when it can be used
	}{
		"disabled":      {azsecrets.SecretAttributes{Enabled: new(false)}, "enable it in the vault"},
		"expired":       {azsecrets.SecretAttributes{Expires: new(hour.Add(-2 * time.Hour))}, "has expired at"},
		"not valid yet": {azsecrets.SecretAttributes{NotBefore: &hour}, "is not valid before"},
		"in its time":   {azsecrets.SecretAttributes{NotBefore: new(hour.Add(-2 * time.Hour)), Expires: &hour}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := start(t, nil)
			s := open(t, v)
			require.NoError(t, s.Set(t.Context(), "a", "1"))
			_, err := sdk(t, v).UpdateSecretProperties(t.Context(), "a", "", azsecrets.UpdateSecretPropertiesParameters{SecretAttributes: &tc.attributes}, nil)
			require.NoError(t, err)
			_, err = s.Get(t.Context(), "a")
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, azml.ErrDenied)
			require.ErrorContains(t, err, tc.want)
			require.NoError(t, s.Set(t.Context(), "a", "2"), "set again")
			got, err := s.Get(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, "2", got)
		})
	}
}

func TestDeletedSecret(t *testing.T) {
	t.Parallel()
	s := open(t, start(t, nil))
	require.NoError(t, s.Set(t.Context(), "a", "1"))
	require.NoError(t, s.Delete(t.Context(), "a"))
	_, err := s.Get(t.Context(), "a")
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.ErrorContains(t, err, "recover it in the vault if it was deleted")
}

func TestSharedWithOthers(t *testing.T) {
	t.Parallel()
	v := start(t, nil)
	v.AddManaged("cert", "key")
	other := sdk(t, v)
	_, err := other.SetSecret(t.Context(), "Foreign-Name", azsecrets.SetSecretParameters{Value: new("theirs"), ContentType: new("text/plain"), Tags: map[string]*string{"team": new("risk")}}, nil)
	require.NoError(t, err)
	s := open(t, v)

	t.Log("what others have made can be used, under their spelling")
	got, err := s.Get(t.Context(), "foreign-name")
	require.NoError(t, err)
	require.Equal(t, "theirs", got)
	require.Equal(t, []string{"Foreign-Name"}, names(t, s), "without what belongs to a certificate")
	require.NoError(t, s.Set(t.Context(), "FOREIGN-name", "ours"))
	require.Equal(t, []string{"Foreign-Name"}, names(t, s))

	t.Log("others can use what we have made, and find their tags")
	found, err := other.GetSecret(t.Context(), "foreign-name", "", nil)
	require.NoError(t, err)
	require.Equal(t, "ours", *found.Value)
	require.Equal(t, "risk", *found.Tags["team"])

	t.Log("certificates are not touched")
	require.ErrorIs(t, s.Set(t.Context(), "cert", "x"), azml.ErrConflict)
	require.ErrorIs(t, s.Delete(t.Context(), "cert"), azml.ErrConflict)
}

func names(t *testing.T, s *keyvault.Store) (all []string) {
	t.Helper()
	for name, err := range s.List(t.Context()) {
		require.NoError(t, err)
		all = append(all, name)
	}
	return all
}

func TestValues(t *testing.T) {
	t.Parallel()
	v := start(t, nil)
	s := open(t, v)
	for name, tc := range map[string]struct {
		value  string
		stored string // as others see it, "" for base64
		want   error
	}{
		"text":              {value: "pässword\n", stored: "pässword\n"},
		"greatest text":     {value: strings.Repeat("x", 25_000), stored: strings.Repeat("x", 25_000)},
		"too long":          {value: strings.Repeat("x", 25_001), want: azml.ErrInvalid},
		"empty":             {value: ""},
		"bytes":             {value: "\x00\xff"},
		"greatest bytes":    {value: strings.Repeat("\xff", 18_744)},
		"too many bytes":    {value: strings.Repeat("\xff", 18_745), want: azml.ErrInvalid},
		"like base64":       {value: "base64:eA==", stored: "base64:eA=="},
		"a terminal's code": {value: "\x1b[31m"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), "'", "")
			err := s.Set(t.Context(), id, tc.value)
			require.ErrorIs(t, err, tc.want)
			if tc.want != nil {
				require.Less(t, len(err.Error()), 200)
				return
			}
			got, err := s.Get(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, tc.value, got)
			found, err := sdk(t, v).GetSecret(t.Context(), id, "", nil)
			require.NoError(t, err)
			if tc.stored == "" {
				require.Equal(t, "application/vnd.azml.base64", *found.ContentType)
				require.True(t, strings.HasPrefix(*found.Value, "base64:"))
				return
			}
			require.Nil(t, found.ContentType)
			require.Equal(t, tc.stored, *found.Value)
		})
	}
	for name, stored := range map[string]string{"no prefix": "eA==", "no base64": "base64:!"} {
		t.Run("damaged, "+name, func(t *testing.T) {
			t.Parallel()
			id := "damaged-" + strings.ReplaceAll(name, " ", "-")
			_, err := sdk(t, v).SetSecret(t.Context(), id, azsecrets.SetSecretParameters{Value: &stored, ContentType: new("application/vnd.azml.base64")}, nil)
			require.NoError(t, err)
			_, err = s.Get(t.Context(), id)
			require.ErrorIs(t, err, azml.ErrDamaged)
		})
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	v := start(t, nil)
	s := open(t, v)
	for i := range 60 {
		require.NoError(t, s.Set(t.Context(), fmt.Sprintf("s%02d", i), "x"))
	}
	require.Equal(t, map[string]int{"Unauthorized": 1, "GetSecret": 60, "SetSecret": 60}, v.Requests(), "setting 60")
	all := names(t, s)
	require.Len(t, all, 60)
	require.True(t, slices.IsSorted(all))
	require.Equal(t, 3, v.Requests()["NewListSecretPropertiesPager"], "pages of 25")
	_, err := s.Get(t.Context(), "s01")
	require.NoError(t, err)
	require.NoError(t, s.Delete(t.Context(), "s01"))
	require.Equal(t, map[string]int{"Unauthorized": 1, "GetSecret": 61, "SetSecret": 60, "NewListSecretPropertiesPager": 3, "DeleteSecret": 1}, v.Requests())
}

func TestThrottling(t *testing.T) {
	t.Parallel()
	v := start(t, nil)
	s := open(t, v)
	require.NoError(t, s.Set(t.Context(), "a", "1"))
	v.Throttle(1, time.Second)
	begun := time.Now()
	got, err := s.Get(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, "1", got)
	require.GreaterOrEqual(t, time.Since(begun), time.Second, "Retry-After")
	require.Equal(t, 1, v.Requests()["Throttled"])
}

// TestLostDelete deletes while the answer that it was done is lost.
func TestLostDelete(t *testing.T) {
	t.Parallel()
	lose := false
	v := start(t, &keyvaulttest.Options{Wrap: func(vault http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if lose && r.Method == http.MethodDelete {
				lose = false
				vault.ServeHTTP(discard{}, r)
				panic(http.ErrAbortHandler)
			}
			vault.ServeHTTP(w, r)
		})
	}})
	s := open(t, v)
	require.NoError(t, s.Set(t.Context(), "a", "1"))
	lose = true
	require.NoError(t, s.Delete(t.Context(), "a"))
	require.False(t, lose)
	require.ErrorIs(t, s.Delete(t.Context(), "a"), azml.ErrNotFound)
}

// TestLostRecovery sets a deleted secret while the answer to its recovery is cut
// off, which the SDK does not send again.
func TestLostRecovery(t *testing.T) {
	t.Parallel()
	cut := 0
	v := start(t, &keyvaulttest.Options{Wrap: func(vault http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && cut == 0 {
				cut++
				w.Header().Set("Content-Length", "9999")
			}
			vault.ServeHTTP(w, r)
		})
	}})
	s := open(t, v)
	require.NoError(t, s.Set(t.Context(), "a", "1"))
	require.NoError(t, s.Delete(t.Context(), "a"))
	require.NoError(t, s.Set(t.Context(), "a", "2"))
	require.Equal(t, 1, cut)
	require.Equal(t, 2, versions(t, v, "a"))
}

// discard is an answer that gets lost.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}
