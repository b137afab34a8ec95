package azureblob_test

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/azureblob"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/prefixed"
	"github.com/azml-go/azml/internal/testenv"
)

// TestLinksByToken signs with a key that an identity delegates. The store's keys
// are spelled in its own way, and have a prefix. The SDK takes the account's name
// from the host, which must so be one as in the cloud.
func TestLinksByToken(t *testing.T) {
	t.Parallel()
	server := *azurite(t, testenv.AzuriteOptions{OAuth: true})
	trusted := trusting(t, &server)
	opts := &container.ClientOptions{ClientOptions: policy.ClientOptions{Transport: trusted}}
	connection := server.ConnectionString()
	u, err := url.Parse(server.URL)
	require.NoError(t, err)
	server.URL = "https://" + server.Account + ".blob.localhost:" + u.Port()
	transport := trusted.Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.ServerName = u.Hostname()
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, u.Host)
	}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	backendtest.DataFilesLinks(t, func(t *testing.T) backendtest.DataFilesHarness {
		s, err := azureblob.Open(server.URL+"/"+newContainer(t, connection, opts), azureblob.Token(unsigned{}), &azureblob.Options{Transport: client})
		require.NoError(t, err)
		return backendtest.DataFilesHarness{Files: prefixed.New(s, "in/"), Links: true, Client: client}
	})
}

// TestLinksOfOthers has credentials that can't sign.
func TestLinksOfOthers(t *testing.T) {
	t.Parallel()
	const where = "https://contoso.blob.core.windows.net/models"
	s, err := azureblob.Open(where, azureblob.SAS("sv=1&sig=secret"), nil)
	require.NoError(t, err)
	t.Cleanup(requireNoError(t, s.Close))
	_, err = s.Sign(t.Context(), "a", &backend.SignOptions{Expires: time.Hour})
	require.ErrorIs(t, err, azml.ErrUnsupported)
	require.NotContains(t, err.Error(), "secret")
}

// hierarchical answers as an account with a hierarchical namespace does, which the
// emulator has not.
type hierarchical struct{}

func (hierarchical) Do(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Request: r, Body: http.NoBody,
		Header: http.Header{"X-Ms-Is-Hns-Enabled": {"true"}, "X-Ms-Sku-Name": {"Standard_LRS"}, "X-Ms-Account-Kind": {"StorageV2"}}}, nil
}

// TestFolderLinks looks at what a URL for a folder allows.
func TestFolderLinks(t *testing.T) {
	t.Parallel()
	credential, err := azureblob.SharedKey("contoso", strings.Repeat("A", 86)+"==")
	require.NoError(t, err)
	s, err := azureblob.Open("https://contoso.blob.core.windows.net/models", credential, &azureblob.Options{Transport: hierarchical{}})
	require.NoError(t, err)
	link, err := s.Sign(t.Context(), "raw/2026/", &backend.SignOptions{Expires: time.Hour})
	require.NoError(t, err)
	u, err := url.Parse(link)
	require.NoError(t, err)
	require.Equal(t, "/models/raw/2026", u.Path)
	q := u.Query()
	require.Equal(t, []string{"d", "2", "rl", "https"}, []string{q.Get("sr"), q.Get("sdd"), q.Get("sp"), q.Get("spr")})
	ends, err := time.Parse(time.RFC3339, q.Get("se"))
	require.NoError(t, err)
	require.InDelta(t, time.Hour, time.Until(ends), float64(time.Minute))
	link, err = s.Sign(t.Context(), "raw/2026/", &backend.SignOptions{Expires: time.Hour, Write: true})
	require.NoError(t, err)
	u, err = url.Parse(link)
	require.NoError(t, err)
	require.Equal(t, "cw", u.Query().Get("sp"))
}
