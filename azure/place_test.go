package azure

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

func TestURLs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]place{
		"azblob://contoso/models":                                     {"azblob://contoso/models", "https://contoso.blob.core.windows.net", "contoso", "models", "", ""},
		"azblob://contoso/models/":                                    {"azblob://contoso/models", "https://contoso.blob.core.windows.net", "contoso", "models", "", ""},
		"azblob://contoso/models/team/churn":                          {"azblob://contoso/models/team/churn", "https://contoso.blob.core.windows.net", "contoso", "models", "team/churn", ""},
		"azblob://contoso.blob.core.chinacloudapi.cn/models":          {"azblob://contoso.blob.core.chinacloudapi.cn/models", "https://contoso.blob.core.chinacloudapi.cn", "contoso", "models", "", ""},
		"https://contoso.blob.core.windows.net/models/a%20b":          {"https://contoso.blob.core.windows.net/models/a%20b", "https://contoso.blob.core.windows.net", "contoso", "models", "a b", ""},
		"azblob://contoso/a-b":                                        {"azblob://contoso/a-b", "https://contoso.blob.core.windows.net", "contoso", "a-b", "", ""},
		"http://127.0.0.1:10000/devstoreaccount1/models":              {"http://127.0.0.1:10000/devstoreaccount1/models", "http://127.0.0.1:10000/devstoreaccount1", "devstoreaccount1", "models", "", ""},
		"https://localhost:10000/devstoreaccount1/models/team/ml":     {"https://localhost:10000/devstoreaccount1/models/team/ml", "https://localhost:10000/devstoreaccount1", "devstoreaccount1", "models", "team/ml", ""},
		"azblob://contoso/models?vault=contoso-ml":                    {"azblob://contoso/models?vault=contoso-ml", "https://contoso.blob.core.windows.net", "contoso", "models", "", "https://contoso-ml.vault.azure.net"},
		"azblob://contoso/models/a?vault=contoso.vault.azure.cn":      {"azblob://contoso/models/a?vault=contoso.vault.azure.cn", "https://contoso.blob.core.windows.net", "contoso", "models", "a", "https://contoso.vault.azure.cn"},
		"http://127.0.0.1:1/acct/models?vault=https://127.0.0.1:8443": {"http://127.0.0.1:1/acct/models?vault=https://127.0.0.1:8443", "http://127.0.0.1:1/acct", "acct", "models", "", "https://127.0.0.1:8443"},
	} {
		got, err := parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
		require.True(t, IsURL(text))
	}
	const secret = "c2VjcmV0"
	for _, text := range []string{
		"", "azblob://", "azblob://contoso", "azblob://contoso/", "azblob:///models", "azblob://contoso:80/models",
		"s3://bucket/models", "http://contoso.blob.core.windows.net/models", "http://127.0.0.1:10000/models", "http://192.0.2.2:10000/devstoreaccount1/models", "http://[2001:db8::1]/devstoreaccount1/models",
		"azblob://contoso/Models", "azblob://contoso/ml", "azblob://contoso/a--b", "azblob://contoso/$web/ml", "azblob://contoso/models//x", "azblob://contoso/models/../x",
		"azblob://contoso:" + secret + "@x/models", "azblob://contoso/models?sig=" + secret, "azblob://contoso/models?" + secret, "azblob://contoso/models#" + secret, "://" + secret,
		"azblob://contoso/models?vault=" + secret + "!", "azblob://contoso/models?vault=", "azblob://contoso/models?vault=a", "azblob://contoso/models?vault=abc&vault=abd", "azblob://contoso/models?vault=abc&key=" + secret,
	} {
		_, err := parse(text)
		require.ErrorIs(t, err, azml.ErrInvalid, text)
		require.NotContains(t, err.Error(), secret)
	}
	for _, folder := range []string{"", ".azml", "/srv/ml", `C:\ml`, "a:b"} {
		require.False(t, IsURL(folder), folder)
	}
}
