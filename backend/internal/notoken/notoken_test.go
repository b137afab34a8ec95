package notoken

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReason(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`DefaultAzureCredential: failed to acquire a token.
Attempted credentials:
	EnvironmentCredential: missing environment variable AZURE_TENANT_ID
	ManagedIdentityCredential authentication failed. 
		GET http://169.254.169.254/metadata/identity/oauth2/token
		--------------------------------------------------------------------------------
		RESPONSE 403: 403 Forbidden
		--------------------------------------------------------------------------------
		some proxy's page
		--------------------------------------------------------------------------------
		To troubleshoot, visit https://aka.ms/azsdk/go/identity/troubleshoot#managed-id
	AzureCLICredential: Azure CLI not found on path`: "DefaultAzureCredential: failed to acquire a token; EnvironmentCredential: missing environment variable AZURE_TENANT_ID; " +
			"ManagedIdentityCredential authentication failed; AzureCLICredential: Azure CLI not found on path",
		`ClientSecretCredential authentication failed. 
POST https://login.microsoftonline.com/x/oauth2/v2.0/token
--------------------------------------------------------------------------------
RESPONSE 401: 401 Unauthorized
--------------------------------------------------------------------------------
{
  "error": "invalid_client",
  "error_description": "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1"
}`: "ClientSecretCredential authentication failed; AADSTS7000215: Invalid client secret provided",
		"nobody is signed in": "nobody is signed in",
	} {
		require.Equal(t, want, Reason(errors.New(text)))
	}
}
