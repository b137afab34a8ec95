package azureblob_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/azureblob"
	"github.com/azml-go/azml/internal/testenv"
)

// once sends nothing again.
var once = policy.RetryOptions{MaxRetries: -1}

// calls does everything that can be done with an object.
func calls(ctx context.Context, s *azureblob.Store, key string) map[string]error {
	_, get := s.Get(ctx, key, &backend.GetOptions{})
	_, part := s.Get(ctx, key, &backend.GetOptions{Offset: 3, Length: 2})
	_, stat := s.Stat(ctx, key)
	_, put := s.Put(ctx, key, strings.NewReader("x"), &backend.PutOptions{})
	_, create := s.Put(ctx, key, strings.NewReader("x"), &backend.PutOptions{IfNoneMatch: true})
	_, begin := s.Append(ctx, key, 0, []byte("x"))
	_, more := s.Append(ctx, key, 1, []byte("x"))
	all := map[string]error{"get": get, "get a part": part, "stat": stat, "put": put, "create": create, "append": begin, "append more": more,
		"delete": s.Delete(ctx, key, &backend.DeleteOptions{})}
	for _, err := range s.List(ctx, &backend.ListOptions{}) {
		all["list"] = err
	}
	return all
}

// TestNewWithoutClient gives nothing to New.
func TestNewWithoutClient(t *testing.T) {
	t.Parallel()
	_, err := azureblob.New(nil, nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
}

// TestAnswers has a server that gives one answer to everything.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const secret = "c2VjcmV0"
	for name, test := range map[string]struct {
		status     int
		code, text string
		class      error
		advice     string
	}{
		"wrong key":       {403, "AuthenticationFailed", "The MAC signature found in the HTTP request '" + secret + "' is not the same as any computed signature.", azml.ErrDenied, "is not one of the account of"},
		"wrong clock":     {403, "AuthenticationFailed", "Request date header too old: 'Thu, 01 Jan 2026 00:00:00 GMT'", azml.ErrDenied, "clock is wrong by more than 15 minutes"},
		"expired SAS":     {403, "AuthenticationFailed", "Signature not valid in the specified time frame: Start [x] - Expiry [y] - Current [z]", azml.ErrDenied, "has expired"},
		"forged SAS":      {403, "AuthenticationFailed", "Signature did not match. String to sign used was " + secret, azml.ErrDenied, "get a new one"},
		"no role":         {403, "AuthorizationPermissionMismatch", "This request is not authorized", azml.ErrDenied, "Storage Blob Data Contributor"},
		"firewall":        {403, "AuthorizationFailure", "This request is not authorized", azml.ErrDenied, "firewall"},
		"no keys":         {403, "KeyBasedAuthenticationNotPermitted", "", azml.ErrDenied, "az login"},
		"anonymous":       {409, "PublicAccessNotPermitted", "", azml.ErrDenied, "sign in"},
		"bad token":       {401, "InvalidAuthenticationInfo", "", azml.ErrDenied, "sign in"},
		"no container":    {404, "ContainerNotFound", "", azml.ErrUnavailable, "there is no container"},
		"being deleted":   {409, "ContainerBeingDeleted", "", azml.ErrUnavailable, "is being deleted"},
		"disabled":        {403, "AccountIsDisabled", "", azml.ErrDenied, "disabled"},
		"throttled":       {503, "ServerBusy", "", azml.ErrUnavailable, ""},
		"too many":        {429, "", "", azml.ErrUnavailable, ""},
		"broken":          {500, "InternalError", "", azml.ErrUnavailable, ""},
		"leased":          {412, "LeaseIdMissing", "", azml.ErrDenied, "lease"},
		"immutable":       {409, "BlobImmutableDueToPolicy", "", azml.ErrDenied, "policy"},
		"archived":        {409, "BlobArchived", "", azml.ErrUnsupported, "archive"},
		"too old":         {400, "InvalidHeaderValue", "", azml.ErrUnsupported, "newer"},
		"some web server": {405, "", "<html>" + secret + "</html>", azml.ErrUnsupported, "is "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if test.code != "" {
					w.Header().Set("x-ms-error-code", test.code)
				}
				w.Header().Set("Content-Type", "application/xml")
				w.WriteHeader(test.status)
				if test.code != "" {
					fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>%s</Message></Error>`, test.code, test.text)
				} else {
					fmt.Fprint(w, test.text)
				}
			}))
			defer server.Close()
			s, err := azureblob.Open(server.URL+"/account/container", azureblob.SAS("sig="+secret), &azureblob.Options{Retry: once})
			require.NoError(t, err)
			defer s.Close()
			for op, err := range calls(t.Context(), s, "the/key") {
				require.Equal(t, test.class, azml.ClassOf(err), "%s: %v", op, err)
				if op != "list" {
					require.ErrorContains(t, err, "the/key", op)
				}
				// The answers to HEAD have no text.
				if op != "stat" || test.status != 403 {
					require.ErrorContains(t, err, test.advice, op)
				}
				require.NotContains(t, err.Error(), secret)
				answer, ok := errors.AsType[*azcore.ResponseError](err)
				require.True(t, ok)
				require.Equal(t, test.status, answer.StatusCode)
			}
		})
	}
}

func TestNoAnswer(t *testing.T) {
	t.Parallel()
	const secret = "c2VjcmV0"
	deaf := httptest.NewServer(http.NotFoundHandler())
	deaf.Close()
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer silent.Close()
	for name, test := range map[string]struct {
		url    string
		class  error
		advice string
	}{
		"nobody listens":  {deaf.URL + "/account/container", azml.ErrUnavailable, "no connection to"},
		"no such account": {"https://account.invalid/container", azml.ErrUnavailable, "no such storage account, or no network"},
		"silent":          {silent.URL + "/account/container", azml.ErrUnavailable, "no connection to"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := azureblob.Open(test.url, azureblob.SAS("sig="+secret), &azureblob.Options{Retry: once, Stall: 100 * time.Millisecond})
			require.NoError(t, err)
			defer s.Close()
			for op, err := range calls(t.Context(), s, "the/key") {
				require.Equal(t, test.class, azml.ClassOf(err), "%s: %v", op, err)
				require.ErrorContains(t, err, test.advice, op)
				require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), secret)
			}
		})
	}
}

// TestSignatureThatIsNotValidNow has a service that says of every credential the same.
func TestSignatureThatIsNotValidNow(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("x-ms-error-code", "AuthorizationFailure")
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	for signature, advice := range map[string]string{
		"st=2020-01-01T00:00:00Z&se=2020-01-02T00:00:00Z&sig=x": "the shared access signature has expired at 2020-01-02T00:00:00Z: get a new one",
		"st=9999-01-01T00:00:00Z&se=9999-01-02T00:00:00Z&sig=x": "not valid before 9999-01-01T00:00:00Z",
		"st=2020-01-01T00:00:00Z&se=9999-01-02T00:00:00Z&sig=x": "look at the credential",
	} {
		s, err := azureblob.Open(server.URL+"/account/container", azureblob.SAS(signature), &azureblob.Options{Retry: once})
		require.NoError(t, err)
		_, err = s.Stat(t.Context(), "the/key")
		require.ErrorIs(t, err, azml.ErrDenied)
		require.ErrorContains(t, err, advice)
		require.NotContains(t, err.Error(), "sig=")
		require.NoError(t, s.Close())
	}
}

// tokenless is a credential whose error is pages long.
type tokenless struct{}

func (tokenless) Error() string {
	return "DefaultAzureCredential: failed to acquire a token.\nAttempted credentials:\n\tAzureCLICredential: Azure CLI not found on path\n\t\tRESPONSE 403: a proxy's page"
}
func (tokenless) NonRetriable() {}
func (c tokenless) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{}, c
}

// TestNoToken says in one line what was tried.
func TestNoToken(t *testing.T) {
	t.Parallel()
	s, err := azureblob.Open("https://account.invalid/container", azureblob.Token(tokenless{}), nil)
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Stat(t.Context(), "the/key")
	require.EqualError(t, err, `permission denied: stat "the/key": DefaultAzureCredential: failed to acquire a token; AzureCLICredential: Azure CLI not found on path: no token could be had: sign in (az login), or look at the credential`)
	require.ErrorIs(t, err, tokenless{})
}

// TestThrottled has a server that is busy at first, and says how long.
func TestThrottled(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) < 3 {
			w.Header().Set("x-ms-error-code", "ServerBusy")
			w.Header().Set("retry-after-ms", "300")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("ETag", `"0x1"`)
		w.Header().Set("Last-Modified", "Thu, 26 Nov 2026 00:00:00 GMT")
		w.Header().Set("Content-Length", "5")
	}))
	defer server.Close()
	s, err := azureblob.Open(server.URL+"/account/container", azureblob.Credential{}, &azureblob.Options{Retry: policy.RetryOptions{RetryDelay: time.Millisecond}})
	require.NoError(t, err)
	defer s.Close()
	began := time.Now()
	info, err := s.Stat(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, backend.Info{Key: "a", Size: 5, ETag: "0x1", Modified: time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)}, info)
	require.GreaterOrEqual(t, time.Since(began), 600*time.Millisecond, "Retry-After")
	require.EqualValues(t, 3, requests.Load())
}

// signed gives a shared access signature on the container.
func signed(t *testing.T, server *testenv.AzuriteServer, name string, permissions sas.ContainerPermissions, expiry time.Time) string {
	t.Helper()
	client, err := container.NewClientFromConnectionString(server.ConnectionString(), name, nil)
	require.NoError(t, err)
	start := time.Now().Add(-2 * time.Hour)
	text, err := client.GetSASURL(permissions, expiry, &container.GetSASURLOptions{StartTime: &start})
	require.NoError(t, err)
	u, err := url.Parse(text)
	require.NoError(t, err)
	return u.RawQuery
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	server := azurite(t, testenv.AzuriteOptions{})
	name := newContainer(t, server.ConnectionString(), nil)
	all := sas.ContainerPermissions{Read: true, Add: true, Create: true, Write: true, Delete: true, List: true}
	wrong, err := azureblob.SharedKey(server.Account, "d3Jvbmc=")
	require.NoError(t, err)
	later := time.Now().Add(time.Hour)
	for test, c := range map[string]struct {
		credential azureblob.Credential
		denied     []string
	}{
		"key of another account": {wrong, []string{"get", "put", "list", "append", "delete", "stat"}},
		"none":                   {azureblob.Credential{}, []string{"get", "put", "list", "append", "delete", "stat"}},
		"expired":                {azureblob.SAS(signed(t, server, name, all, time.Now().Add(-time.Hour))), []string{"get", "put", "list", "append", "delete", "stat"}},
		"reading alone":          {azureblob.SAS("?" + signed(t, server, name, sas.ContainerPermissions{Read: true, List: true}, later)), []string{"put", "append", "delete"}},
		"all":                    {azureblob.SAS(signed(t, server, name, all, later)), nil},
	} {
		t.Run(test, func(t *testing.T) {
			s, err := azureblob.Open(server.URL+"/"+name, c.credential, &azureblob.Options{Retry: once})
			require.NoError(t, err)
			defer s.Close()
			got := calls(t.Context(), s, "the/key")
			for _, op := range c.denied {
				require.ErrorIs(t, got[op], azml.ErrDenied, op)
			}
			if c.denied == nil {
				require.NoError(t, errors.Join(got["put"], got["list"], got["delete"]))
				require.ErrorIs(t, got["get"], azml.ErrNotFound)
			}
			printed := fmt.Sprintf("%v %+v %#v %v %+v %#v %v", s, s, s, c.credential, c.credential, c.credential, got)
			for _, secret := range []string{"sig=", server.Key, "d3Jvbmc="} {
				require.NotContains(t, printed, secret)
			}
		})
	}
}

func TestNoContainer(t *testing.T) {
	t.Parallel()
	server := azurite(t, testenv.AzuriteOptions{})
	s := byKey(server.ConnectionString())(t, "t-missing", azureblob.Options{})
	for op, err := range calls(t.Context(), s, "the/key") {
		require.Equal(t, azml.ErrUnavailable, azml.ClassOf(err), "%s: %v", op, err)
		if op != "stat" { // the answers to HEAD have a code in their headers alone
			require.True(t, bloberror.HasCode(err, bloberror.ContainerNotFound), "%s: %v", op, err)
		}
	}
	require.NoError(t, s.Prepare(t.Context()))
	require.NoError(t, s.Prepare(t.Context()))
	_, err := s.Put(t.Context(), "a", strings.NewReader("x"), &backend.PutOptions{})
	require.NoError(t, err)
}

// TestForeignBlobs has blobs in the container that are none of ours.
func TestForeignBlobs(t *testing.T) {
	t.Parallel()
	server := azurite(t, testenv.AzuriteOptions{})
	name := newContainer(t, server.ConnectionString(), nil)
	client, err := container.NewClientFromConnectionString(server.ConnectionString(), name, nil)
	require.NoError(t, err)
	for _, foreign := range []string{"a file.txt", "folder/", "team/", "team", "team//x", "team/a.", "teams/x", "team/é", "team/a b/c"} {
		_, err := client.NewBlockBlobClient(foreign).UploadBuffer(t.Context(), []byte("x"), nil)
		require.NoError(t, err)
	}
	s, err := azureblob.New(client, &azureblob.Options{Prefix: "team"})
	require.NoError(t, err)
	_, err = s.Put(t.Context(), "a/b", strings.NewReader("x"), &backend.PutOptions{})
	require.NoError(t, err)
	for _, delimiter := range []string{"", "/"} {
		var keys []string
		for info, err := range s.List(t.Context(), &backend.ListOptions{Delimiter: delimiter}) {
			require.NoError(t, err)
			keys = append(keys, info.Key)
		}
		require.Equal(t, map[string][]string{"": {"a/b"}, "/": {"a/"}}[delimiter], keys)
	}
}

func TestRefusedArguments(t *testing.T) {
	t.Parallel()
	const secret = "c2VjcmV0"
	for _, text := range []string{"", "AccountName", "AccountName=a;AccountKey=" + secret + "!", "AccountKey=" + secret, "AccountName=a", "BlobEndpoint=nonsense;SharedAccessSignature=sig=" + secret} {
		_, err := azureblob.ParseConnectionString(text)
		require.ErrorIs(t, err, azml.ErrInvalid, text)
		require.NotContains(t, err.Error(), secret)
	}
	account, err := azureblob.ParseConnectionString("DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey=" + secret + ";EndpointSuffix=core.windows.net")
	require.NoError(t, err)
	require.Equal(t, "https://contoso.blob.core.windows.net", account.URL)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", account, account, account), secret)
	emulator, err := azureblob.ParseConnectionString("UseDevelopmentStorage=True;")
	require.NoError(t, err)
	require.Equal(t, "devstoreaccount1", emulator.Name)
	require.Equal(t, "http://127.0.0.1:10000/devstoreaccount1", emulator.URL)
	require.NotEqual(t, azureblob.Credential{}, emulator.Credential)
	_, err = azureblob.ParseConnectionString("UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://10.0.0.1")
	require.ErrorContains(t, err, "give BlobEndpoint")
	_, err = azureblob.SharedKey("a", secret+"!")
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.NotContains(t, err.Error(), secret)
	for _, text := range []string{"", "https://account.blob.core.windows.net", "https://account.blob.core.windows.net/", "account/container", "https://a/c?sig=" + secret} {
		_, err := azureblob.Open(text, azureblob.Credential{}, nil)
		require.ErrorIs(t, err, azml.ErrInvalid, text)
		require.NotContains(t, err.Error(), secret)
	}
	for said, credential := range map[string]azureblob.Credential{
		"Token was given no credential": azureblob.Token(nil), "SAS was given no signature": azureblob.SAS("?"),
	} {
		_, err := azureblob.Open("https://account.blob.core.windows.net/c", credential.From("a test"), nil)
		require.ErrorIs(t, err, azml.ErrInvalid, "it would be anybody's")
		require.ErrorContains(t, err, said)
	}
	_, err = azureblob.SharedKey("a", "")
	require.ErrorIs(t, err, azml.ErrInvalid)
	for _, prefix := range []string{"/a", "a//", "a/../b"} {
		_, err := azureblob.Open("https://account.blob.core.windows.net/c", azureblob.Credential{}, &azureblob.Options{Prefix: prefix})
		require.ErrorIs(t, err, azml.ErrInvalid, prefix)
	}
}

// TestHierarchicalNamespace has an account that says that it has real folders.
func TestHierarchicalNamespace(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			w.WriteHeader(http.StatusCreated)
			return
		}
		w.Header().Set("x-ms-is-hns-enabled", "true")
	}))
	defer server.Close()
	s, err := azureblob.Open(server.URL+"/account/container", azureblob.Credential{}, &azureblob.Options{Retry: once})
	require.NoError(t, err)
	defer s.Close()
	require.ErrorIs(t, s.Prepare(t.Context()), azml.ErrUnsupported)
}
