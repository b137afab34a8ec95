// Package azure opens workspaces in Azure by a URL: the objects are in a
// container of Blob Storage, the secrets in a key vault.
//
//	ws, err := azure.Open(ctx, "azblob://ACCOUNT/CONTAINER/team/churn?vault=NAME", nil)
//
// Any number of machines use such a workspace at once; nothing else has to be
// installed. Programs that make the stores themselves use workspace.New with
// backend/azureblob and backend/keyvault; package workspace alone links nothing of
// Azure's SDK.
//
// # URLs
//
//	azblob://ACCOUNT/CONTAINER/PREFIX?vault=NAME
//	https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX    or any other endpoint of a storage account
//	http://127.0.0.1:10000/ACCOUNT/CONTAINER/PREFIX           Azurite
//
// docs/azure.md says how to set one up and what operations cost in requests.
//
// The prefix may be left out, and the vault: a workspace is opened with the one
// that it was created with, or that Workspace.Update has stored since. Without
// any, what needs secrets, such as an endpoint's keys, is ErrUnsupported. NAME is that of a vault in the public cloud,
// the host of any other, or a URL. Workspaces of one vault share their secrets. A
// URL never holds a credential: it is stored in config.json and shown to people.
//
// # Credentials
//
// Options.Credential, else the first of the environment's variables
//
//	AZURE_STORAGE_CONNECTION_STRING
//	AZURE_STORAGE_KEY           a key of the account
//	AZURE_STORAGE_SAS_TOKEN     a shared access signature with the permissions racwdl on the container
//
// of which those that have "_" and the account's name in capitals behind their names, as
// AZURE_STORAGE_KEY_CONTOSO, come first for that account and count for no other,
// else what azidentity.NewDefaultAzureCredential finds: a service principal in
// the environment, a workload's or machine's own identity, or who is signed in
// by the command az. Such an identity needs the role "Storage Blob Data
// Contributor" on the container. The vault is asked with Options.Credential or
// such an identity, which needs the role "Key Vault Secrets Officer" on it.
package azure
