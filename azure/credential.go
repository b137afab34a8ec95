package azure

import (
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/azureblob"
)

// The environment's variables, by the names that Azure's own tools use.
const (
	connectionVariable = "AZURE_STORAGE_CONNECTION_STRING"
	keyVariable        = "AZURE_STORAGE_KEY"
	sasVariable        = "AZURE_STORAGE_SAS_TOKEN"
)

const howToSignIn = "credentials are given by " + connectionVariable + ", " + keyVariable + " or " + sasVariable + " in the environment, or by az login"

// credentialFor gives the credential for the account of p.
func (p place) credentialFor(opts *Options) (azureblob.Credential, error) {
	if opts.Credential != nil {
		return azureblob.Token(opts.Credential).From("Options.Credential"), nil
	}
	if text := os.Getenv(connectionVariable); text != "" {
		account, err := azureblob.ParseConnectionString(text)
		if err != nil {
			return azureblob.Credential{}, fmt.Errorf("the variable %s: %w", connectionVariable, err)
		}
		return account.Credential.From("the variable " + connectionVariable), p.checkAccount(account)
	}
	if key := os.Getenv(keyVariable); key != "" {
		credential, err := azureblob.SharedKey(p.account, key)
		if err != nil {
			return azureblob.Credential{}, fmt.Errorf("the variable %s: %w", keyVariable, err)
		}
		return credential.From("the variable " + keyVariable), nil
	}
	if signature := os.Getenv(sasVariable); signature != "" {
		return azureblob.SAS(signature).From("the variable " + sasVariable), nil
	}
	token, err := defaultCredential()
	return azureblob.Token(token).From("an identity, such as that of az login: none of " + connectionVariable + ", " + keyVariable + " and " + sasVariable + " is set"), err
}

// checkAccount gives an error when the account of the connection string is another
// one, which would get the signature of this one's.
func (p place) checkAccount(account azureblob.Account) error {
	if account.Name != "" && account.Name != p.account {
		return fmt.Errorf("%w: the variable %s is of the storage account %q, and the workspace is in %q", azml.ErrInvalid, connectionVariable, account.Name, p.account)
	}
	endpoint, err := url.Parse(account.URL)
	if err != nil {
		return fmt.Errorf("%w: the variable %s: its endpoint is no URL", azml.ErrInvalid, connectionVariable)
	}
	if host := strings.ToLower(endpoint.Host); host != p.host() && (!onLoopback(host) || !onLoopback(p.host())) {
		return fmt.Errorf("%w: the variable %s is of the endpoint %s, and the workspace is at %s", azml.ErrInvalid, connectionVariable, host, p.host())
	}
	return nil
}

// defaultCredential is the SDK's chain.
func defaultCredential() (azcore.TokenCredential, error) {
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return nil, fmt.Errorf("%w: no credential: %s", azml.ErrDenied, howToSignIn)
	}
	return credential, nil
}
