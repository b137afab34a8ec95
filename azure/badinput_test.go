package azure_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/azure"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/testenv"
)

// TestBadInput has what is wrong outside of the library: an error of the right
// class says what to do, and shows no credential. It is not parallel, for the
// environment is the process's.
func TestBadInput(t *testing.T) {
	for _, name := range []string{"AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN"} {
		t.Setenv(name, "")
	}
	const wrong = "d3Jvbmc="
	server := testenv.Azurite(t, testenv.AzuriteOptions{})
	client, err := container.NewClientFromConnectionString(server.ConnectionString(), "shared", nil)
	require.NoError(t, err)
	_, err = client.Create(t.Context(), nil)
	require.NoError(t, err)
	_, err = client.NewBlockBlobClient("report.csv").UploadBuffer(t.Context(), []byte("of others"), nil)
	require.NoError(t, err)
	careless := withoutConditions(t, server.URL)
	late := answering(t, http.StatusForbidden, "AuthenticationFailed", "Request date header too old: 'Thu, 01 Jan 2026 00:00:00 GMT'")
	for name, test := range map[string]struct {
		url       string
		variable  string
		value     string
		transport policy.Transporter
		class     error
		advice    string
	}{
		"wrong key":             {server.URL + "/shared/team", "AZURE_STORAGE_KEY", wrong, nil, azml.ErrDenied, "the credential is not of this storage account"},
		"expired signature":     {server.URL + "/shared/team", "AZURE_STORAGE_SAS_TOKEN", signedUntil(t, client, time.Now().Add(-time.Hour)), nil, azml.ErrDenied, "has expired"},
		"container of others":   {server.URL + "/shared", "AZURE_STORAGE_KEY", server.Key, nil, azml.ErrInvalid, "(report.csv): delete them, or give it a prefix"},
		"no network":            {"https://contoso.blob.core.windows.net/shared", "AZURE_STORAGE_KEY", wrong, offline(), azml.ErrUnavailable, "no network"},
		"wrong clock":           {late + "/contoso/shared", "AZURE_STORAGE_KEY", wrong, nil, azml.ErrDenied, "this machine's clock is wrong by more than 15 minutes: set it"},
		"no conditional writes": {careless + "/shared/team", "AZURE_STORAGE_SAS_TOKEN", signedUntil(t, client, time.Now().Add(time.Hour)), nil, azml.ErrUnsupported, "does not honour the conditions of writes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(test.variable, test.value)
			opts := &azure.Options{CacheDir: t.TempDir(), Secrets: memory.NewSecrets(), Transport: test.transport}
			_, err := azure.Create(t.Context(), test.url, opts)
			require.Equal(t, test.class, azml.ClassOf(err), "%v", err)
			require.ErrorContains(t, err, test.advice)
			if test.class == azml.ErrDenied {
				require.ErrorContains(t, err, "(the credential is of the variable "+test.variable+")")
			}
			require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), test.value)
		})
	}
	t.Run("no cache folder", func(t *testing.T) {
		t.Setenv("AZURE_STORAGE_KEY", server.Key)
		dir := "/proc/nowhere/cache" // where the system says "not there"
		if runtime.GOOS != "linux" {
			dir = filepath.Join(t.TempDir(), "file")
			require.NoError(t, os.WriteFile(dir, nil, 0o600))
		}
		_, err := azure.Open(t.Context(), server.URL+"/shared/team", &azure.Options{CacheDir: dir})
		require.ErrorIs(t, err, azml.ErrInvalid)
		require.ErrorContains(t, err, "set CacheDir")
		require.NotContains(t, err.Error(), "there is no workspace")
	})
	t.Run("no container", func(t *testing.T) {
		t.Setenv("AZURE_STORAGE_KEY", server.Key)
		_, err := azure.Open(t.Context(), server.URL+"/missing", nil)
		require.ErrorIs(t, err, azml.ErrNotFound)
		require.ErrorContains(t, err, "create one by `azml init URL`")
	})
}

// signedUntil makes a shared access signature on the container.
func signedUntil(t *testing.T, client *container.Client, expiry time.Time) string {
	t.Helper()
	start := expiry.Add(-2 * time.Hour)
	signed, err := client.GetSASURL(sas.ContainerPermissions{Read: true, Add: true, Create: true, Write: true, Delete: true, List: true}, expiry, &container.GetSASURLOptions{StartTime: &start})
	require.NoError(t, err)
	u, err := url.Parse(signed)
	require.NoError(t, err)
	return u.RawQuery
}

// withoutConditions is a store before the server that passes the conditions of
// writes over.
func withoutConditions(t *testing.T, serverURL string) string {
	t.Helper()
	target, err := url.Parse(serverURL)
	require.NoError(t, err)
	connections := &http.Transport{}
	front := httptest.NewServer(&httputil.ReverseProxy{Transport: connections, Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, target.Host
		r.Out.Header.Del("If-Match")
		r.Out.Header.Del("If-None-Match")
	}})
	t.Cleanup(func() { front.Close(); connections.CloseIdleConnections() })
	return front.URL + target.Path
}

// answering is a server that gives one answer to everything.
func answering(t *testing.T, status int, code, text string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("x-ms-error-code", code)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>%s</Message></Error>`, code, text)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// offline is a machine on which no name is known.
func offline() policy.Transporter {
	return &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "contoso.blob.core.windows.net", IsNotFound: true}
	}}}
}
