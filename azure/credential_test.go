package azure

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

// TestConnectionStringIsOfTheEndpoint is not parallel, for the environment is the
// process's.
func TestConnectionStringIsOfTheEndpoint(t *testing.T) {
	const signature = ";SharedAccessSignature=sv=1&sig=c2VjcmV0"
	for _, tc := range []struct {
		text, url string
		fits      bool
	}{
		{"BlobEndpoint=https://contoso.blob.core.windows.net/" + signature, "azblob://contoso/models", true},
		{"BlobEndpoint=https://Contoso.blob.core.windows.net" + signature, "https://contoso.blob.core.windows.net/models", true},
		{"BlobEndpoint=http://127.0.0.1:10000/acct" + signature, "http://localhost:10000/acct/models", true},
		{"BlobEndpoint=https://contoso.blob.core.windows.net/" + signature, "https://192.0.2.2/contoso/models", false},
		{"BlobEndpoint=https://contoso.blob.core.windows.net/" + signature, "azblob://fabrikam/models", false},
		{"BlobEndpoint=https://contoso.blob.core.windows.net/" + signature, "http://127.0.0.1:10000/contoso/models", false},
		{"AccountName=contoso;AccountKey=c2VjcmV0", "azblob://contoso/models", true},
		{"AccountName=contoso;AccountKey=c2VjcmV0", "azblob://contoso.example.com/models", false},
	} {
		t.Setenv(connectionVariable, tc.text)
		p, err := parse(tc.url)
		require.NoError(t, err)
		_, err = p.credentialFor(&Options{})
		if tc.fits {
			require.NoError(t, err, tc)
			continue
		}
		require.ErrorIs(t, err, azml.ErrInvalid, tc)
		require.NotContains(t, err.Error(), "c2VjcmV0")
	}
}

// TestConfigOfOthers has files that may come with somebody's repository.
func TestConfigOfOthers(t *testing.T) {
	t.Parallel()
	for location, trusted := range map[string]bool{
		"azblob://contoso/models": true, "azblob://contoso.blob.core.usgovcloudapi.net/models": true, "https://Contoso.z01.blob.storage.azure.net/models": true,
		"http://127.0.0.1:10000/acct/models": true, "https://localhost:10000/acct/models": true,
		"https://192.0.2.2/acct/models": false, "azblob://contoso.example.com/models": false, "https://blob.core.windows.net.example.com/models": false,
		"azblob://contoso/models?vault=contoso-ml": true, "azblob://contoso/models?vault=https://127.0.0.1:8443": true, "azblob://contoso/models?vault=https://localhost": true,
		"azblob://contoso/models?vault=https://192.0.2.3": false, "azblob://contoso/models?vault=https://localhost.example.com": false, "azblob://contoso/models?vault=http://127.0.0.1:8080": false,
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"location": "`+location+`"}`), 0o600))
		err := checkFound(location)
		if trusted {
			require.NoError(t, err, location)
			continue
		}
		require.ErrorIs(t, err, azml.ErrInvalid, location)
		_, err = FromConfig(t.Context(), dir, nil)
		require.ErrorContains(t, err, "AZML_WORKSPACE", location)
	}
	for range 20 { // the same error each time
		require.ErrorContains(t, checkFound("https://192.0.2.2/acct/models?vault=https://192.0.2.3"), "names a workspace at 192.0.2.2")
	}
}
