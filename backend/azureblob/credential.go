package azureblob

import (
	"fmt"
	"maps"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/azml-go/azml"
)

// Credential is what a container is opened with. It shows nothing of itself when
// it is printed. The zero Credential is that of a container which anybody may
// use.
type Credential struct {
	token azcore.TokenCredential
	key   *container.SharedKeyCredential
	sas   string
	from  string
	lacks string // what whoever made it has not given
}

// From gives the credential with a word for people on where it was found, such as
// "the variable AZURE_STORAGE_KEY", which errors name when it is refused.
func (c Credential) From(source string) Credential {
	c.from = source
	return c
}

// Token is a credential of Microsoft Entra ID, such as those of azidentity. It
// is sent by https alone. Open refuses nil.
func Token(credential azcore.TokenCredential) Credential {
	if credential == nil {
		return Credential{lacks: "Token was given no credential: make one, such as by azidentity.NewDefaultAzureCredential"}
	}
	return Credential{token: credential}
}

// SharedKey is a key of the storage account. Errors: ErrInvalid for a key that
// is no base64, or empty.
func SharedKey(account, key string) (Credential, error) {
	shared, err := container.NewSharedKeyCredential(account, key)
	if err != nil || key == "" { // the error's text may hold some of the key
		return Credential{}, fmt.Errorf("%w: the key of the storage account %q is not whole: it is base64 of 88 characters", azml.ErrInvalid, account)
	}
	return Credential{key: shared}, nil
}

// SAS is a shared access signature: the query of a signed URL, with or without
// "?". It should have the permissions racwdl on the container. Open refuses an
// empty one.
func SAS(signature string) Credential {
	signature = strings.TrimPrefix(signature, "?")
	if signature == "" {
		return Credential{lacks: "SAS was given no signature"}
	}
	return Credential{sas: signature}
}

// outdated says what to do about a shared access signature that is not valid now by this
// machine's clock, "" about any other credential. The service's answer does not tell in
// which way a signature is wrong.
func (c Credential) outdated(now time.Time) string {
	signed, err := url.ParseQuery(c.sas)
	if err != nil {
		return ""
	}
	if end, err := time.Parse(time.RFC3339, signed.Get("se")); err == nil && now.After(end) {
		return ": the shared access signature has expired at " + signed.Get("se") + ": get a new one"
	}
	if start, err := time.Parse(time.RFC3339, signed.Get("st")); err == nil && now.Before(start) {
		return ": the shared access signature is not valid before " + signed.Get("st") + ": wait, get another one, or set this machine's clock"
	}
	return ""
}

// String shows nothing.
func (Credential) String() string { return "REDACTED" }

// GoString shows nothing.
func (Credential) GoString() string { return "azureblob.Credential(REDACTED)" }

// client makes the SDK's client with the credential.
func (c Credential) client(containerURL string, opts *container.ClientOptions) (*container.Client, error) {
	switch {
	case c.token != nil:
		return container.NewClient(containerURL, c.token, opts)
	case c.key != nil:
		return container.NewClientWithSharedKeyCredential(containerURL, c.key, opts)
	case c.sas != "":
		return container.NewClientWithNoCredential(containerURL+"?"+c.sas, opts)
	}
	return container.NewClientWithNoCredential(containerURL, opts)
}

// Account is what a connection string tells.
type Account struct {
	// URL is the endpoint of the account's blob service, without "/" at its end.
	URL string
	// Name is the account's name; it may be empty with a shared access signature.
	Name string
	// Credential is the account key or the shared access signature.
	Credential Credential
}

// emulator is what UseDevelopmentStorage=true stands for: the account that the
// emulator has when nobody gives it others, whose key is known to all.
var emulator = map[string]string{
	"AccountName": "devstoreaccount1", "BlobEndpoint": "http://127.0.0.1:10000/devstoreaccount1",
	"AccountKey": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
}

// ParseConnectionString reads the connection string of a storage account, as the
// Azure portal and Azurite give it, or UseDevelopmentStorage=true, which is
// Azurite's usual account on this machine. Errors: ErrInvalid, without any of the
// text.
func ParseConnectionString(text string) (Account, error) {
	parts := map[string]string{"DefaultEndpointsProtocol": "https", "EndpointSuffix": "core.windows.net"}
	for part := range strings.SplitSeq(strings.TrimSpace(text), ";") {
		name, value, ok := strings.Cut(part, "=")
		if !ok && part != "" {
			return Account{}, fmt.Errorf("%w: not the connection string of a storage account, which is NAME=VALUE;NAME=VALUE…", azml.ErrInvalid)
		}
		parts[name] = value
	}
	if strings.EqualFold(parts["UseDevelopmentStorage"], "true") {
		if parts["DevelopmentStorageProxyUri"] != "" {
			return Account{}, fmt.Errorf("%w: the connection string has DevelopmentStorageProxyUri: give BlobEndpoint, AccountName and AccountKey instead", azml.ErrInvalid)
		}
		maps.Copy(parts, emulator)
	}
	a := Account{URL: strings.TrimSuffix(parts["BlobEndpoint"], "/"), Name: parts["AccountName"]}
	if a.URL == "" && a.Name != "" {
		a.URL = fmt.Sprintf("%s://%s.blob.%s", parts["DefaultEndpointsProtocol"], a.Name, parts["EndpointSuffix"])
	}
	if u, err := url.Parse(a.URL); err != nil || u.Host == "" {
		return Account{}, fmt.Errorf("%w: the connection string has neither AccountName nor a BlobEndpoint that is a URL, nor UseDevelopmentStorage=true", azml.ErrInvalid)
	}
	switch key, signature := parts["AccountKey"], parts["SharedAccessSignature"]; {
	case key != "" && a.Name != "":
		var err error
		a.Credential, err = SharedKey(a.Name, key)
		return a, err
	case signature != "":
		a.Credential = SAS(signature)
		return a, nil
	}
	return Account{}, fmt.Errorf("%w: the connection string has neither AccountName with AccountKey nor SharedAccessSignature", azml.ErrInvalid)
}
