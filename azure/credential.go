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

// The environment's variables, by the names that Azure's own tools use. With "_" and the
// name of a storage account in capitals behind it, each is of that account alone.
const (
	connectionVariable = "AZURE_STORAGE_CONNECTION_STRING"
	keyVariable        = "AZURE_STORAGE_KEY"
	sasVariable        = "AZURE_STORAGE_SAS_TOKEN"
)

const howToSignIn = "credentials are given by " + connectionVariable + ", " + keyVariable + " or " + sasVariable + " in the environment, or by az login"

// credentialFor gives the credential for the account of p. Variables of that account alone
// come before those for any.
func (p place) credentialFor(opts *Options) (azureblob.Credential, error) {
	if opts.Credential != nil {
		return azureblob.Token(opts.Credential).From("Options.Credential"), nil
	}
	for _, suffix := range []string{p.suffix(), ""} {
		if variable := connectionVariable + suffix; os.Getenv(variable) != "" {
			return p.connection(variable)
		}
		if variable := keyVariable + suffix; os.Getenv(variable) != "" {
			credential, err := azureblob.SharedKey(p.account, os.Getenv(variable))
			if err != nil {
				return azureblob.Credential{}, fmt.Errorf("the variable %s: %w", variable, err)
			}
			return credential.From("the variable " + variable), nil
		}
		if variable := sasVariable + suffix; os.Getenv(variable) != "" {
			return azureblob.SAS(os.Getenv(variable)).From("the variable " + variable), nil
		}
	}
	token, err := defaultCredential()
	return azureblob.Token(token).From("an identity, such as that of az login: none of " + connectionVariable + ", " + keyVariable + " and " + sasVariable + " is set"), err
}

// suffix is what variables have behind their names that are of the account alone.
func (p place) suffix() string { return "_" + strings.ToUpper(p.account) }

// connection gives the credential of a connection string, unless that is of another account.
func (p place) connection(variable string) (azureblob.Credential, error) {
	account, err := azureblob.ParseConnectionString(os.Getenv(variable))
	if err != nil {
		return azureblob.Credential{}, fmt.Errorf("the variable %s: %w", variable, err)
	}
	return account.Credential.From("the variable " + variable), p.checkAccount(variable, account)
}

// checkAccount gives an error when the account of the connection string is another
// one, which would get the signature of this one's.
func (p place) checkAccount(variable string, account azureblob.Account) error {
	if account.Name != "" && account.Name != p.account {
		return fmt.Errorf("%w: the variable %s is of the storage account %q, and the workspace is in %q: give that one's by %s", azml.ErrInvalid, variable, account.Name, p.account, connectionVariable+p.suffix())
	}
	endpoint, err := url.Parse(account.URL)
	if err != nil {
		return fmt.Errorf("%w: the variable %s: its endpoint is no URL", azml.ErrInvalid, variable)
	}
	if host := strings.ToLower(endpoint.Host); host != p.host() && (!onLoopback(host) || !onLoopback(p.host())) {
		return fmt.Errorf("%w: the variable %s is of the endpoint %s, and the workspace is at %s", azml.ErrInvalid, variable, host, p.host())
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
