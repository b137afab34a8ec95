package azureblob_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/azureblob"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/internal/testenv"
)

// opener opens a container of some server, as often as it is asked to.
type opener func(t *testing.T, containerName string, opts azureblob.Options) *azureblob.Store

// byKey opens containers by the account's key.
func byKey(connection string) opener {
	return func(t *testing.T, containerName string, opts azureblob.Options) *azureblob.Store {
		account, err := azureblob.ParseConnectionString(connection)
		require.NoError(t, err)
		s, err := azureblob.Open(account.URL+"/"+containerName, account.Credential, &opts)
		require.NoError(t, err)
		t.Cleanup(requireNoError(t, s.Close))
		return s
	}
}

// byToken opens containers by a token that Azurite believes.
func byToken(server *testenv.AzuriteServer) opener {
	return func(t *testing.T, containerName string, opts azureblob.Options) *azureblob.Store {
		opts.Transport = trusting(t, server)
		s, err := azureblob.Open(server.URL+"/"+containerName, azureblob.Token(unsigned{}), &opts)
		require.NoError(t, err)
		return s
	}
}

// trusting makes a client that knows the server's certificate.
func trusting(t *testing.T, server *testenv.AzuriteServer) *http.Client {
	pem, err := os.ReadFile(server.Certificate)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(pem))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// unsigned gives tokens as Microsoft Entra ID does, but for the signature, at
// which Azurite does not look.
type unsigned struct{}

func (unsigned) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	now := time.Now()
	claims, err := json.Marshal(map[string]any{"aud": "https://storage.azure.com", "iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000000/",
		"oid": "11111111-0000-0000-0000-000000000000", "tid": "00000000-0000-0000-0000-000000000000", // who delegates keys
		"iat": now.Add(-time.Minute).Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix()})
	part := base64.RawURLEncoding.EncodeToString
	return azcore.AccessToken{Token: part([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + part(claims) + "." + part([]byte("none")), ExpiresOn: now.Add(time.Hour)}, err
}

// newContainer creates a container that is deleted at the end of the test.
func newContainer(t *testing.T, connection string, opts *container.ClientOptions) string {
	t.Helper()
	name := "t-" + strings.ToLower(rand.Text())
	client, err := container.NewClientFromConnectionString(connection, name, opts)
	require.NoError(t, err)
	_, err = client.Create(t.Context(), nil)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := client.Delete(context.Background(), nil)
		require.NoError(t, err)
	})
	return name
}

// suite is the harness on containers that are made for each check.
func suite(connection string, opts *container.ClientOptions, open opener) func(t *testing.T) backendtest.ObjectsHarness {
	return func(t *testing.T) backendtest.ObjectsHarness {
		name := newContainer(t, connection, opts)
		return backendtest.ObjectsHarness{
			Objects: open(t, name, azureblob.Options{}),
			Reopen:  func() (backend.Objects, error) { return open(t, name, azureblob.Options{}), nil },
			// A key of 682 bytes is spelled with 1,024 characters, however many
			// of its own characters are of two bytes.
			Features: backendtest.ObjectsFeatures{MaxKeyLen: 682},
		}
	}
}

func TestObjectsOnAzurite(t *testing.T) {
	t.Parallel()
	connection := azurite(t, testenv.AzuriteOptions{}).ConnectionString()
	backendtest.Objects(t, suite(connection, nil, byKey(connection)))
}

// TestObjectsOnDisk has a server that keeps blobs in a folder.
func TestObjectsOnDisk(t *testing.T) {
	t.Parallel()
	connection := testenv.Azurite(t, testenv.AzuriteOptions{Dir: t.TempDir()}).ConnectionString()
	backendtest.Objects(t, suite(connection, nil, byKey(connection)))
}

func TestObjectsByToken(t *testing.T) {
	t.Parallel()
	server := azurite(t, testenv.AzuriteOptions{OAuth: true})
	opts := &container.ClientOptions{ClientOptions: policy.ClientOptions{Transport: trusting(t, server)}}
	backendtest.Objects(t, suite(server.ConnectionString(), opts, byToken(server)))
}

// TestObjectsOnAzure runs on the storage account that the environment names.
func TestObjectsOnAzure(t *testing.T) {
	t.Parallel()
	connection := os.Getenv("AZML_TEST_AZURE_CONNECTION_STRING")
	if connection == "" {
		t.Skip("AZML_TEST_AZURE_CONNECTION_STRING names no storage account to test on")
	}
	backendtest.Objects(t, suite(connection, nil, byKey(connection)))
}

// TestObjectsWithPrefix has stores that share a container, and a client that the
// caller has made.
func TestObjectsWithPrefix(t *testing.T) {
	t.Parallel()
	connection := azurite(t, testenv.AzuriteOptions{}).ConnectionString()
	name := newContainer(t, connection, nil)
	client, err := container.NewClientFromConnectionString(connection, name, nil)
	require.NoError(t, err)
	neighbour, err := azureblob.New(client, &azureblob.Options{Prefix: "t"})
	require.NoError(t, err)
	_, err = neighbour.Put(t.Context(), "eam./a", strings.NewReader("x"), &backend.PutOptions{})
	require.NoError(t, err)
	backendtest.Objects(t, func(t *testing.T) backendtest.ObjectsHarness {
		opts := &azureblob.Options{Prefix: "team./" + rand.Text(), Parallel: 1}
		s, err := azureblob.New(client, opts)
		require.NoError(t, err)
		return backendtest.ObjectsHarness{
			Objects:  s,
			Reopen:   func() (backend.Objects, error) { return azureblob.New(client, opts) },
			Features: backendtest.ObjectsFeatures{MaxKeyLen: 640},
		}
	})
}
