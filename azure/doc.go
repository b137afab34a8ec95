// Package azure opens workspaces in Azure by a URL: the objects are in a
// container of Blob Storage.
//
//	ws, err := azure.Open(ctx, "azblob://ACCOUNT/CONTAINER/team/churn", nil)
//
// Any number of machines use such a workspace at once; nothing else has to be
// installed. Programs that make the stores themselves use workspace.New with
// backend/azureblob; package workspace alone links nothing of Azure's SDK.
//
// # URLs
//
//	azblob://ACCOUNT/CONTAINER/PREFIX
//	https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX    or any other endpoint of a storage account
//	http://127.0.0.1:10000/ACCOUNT/CONTAINER/PREFIX           Azurite
//
// The prefix may be left out. A URL never holds a credential: it is stored in
// config.json and shown to people.
//
// # Credentials
//
// Options.Credential, else the first of the environment's variables
//
//	AZURE_STORAGE_CONNECTION_STRING
//	AZURE_STORAGE_KEY           a key of the account
//	AZURE_STORAGE_SAS_TOKEN     a shared access signature with the permissions racwdl on the container
//
// else what azidentity.NewDefaultAzureCredential finds: a service principal in
// the environment, a workload's or machine's own identity, or who is signed in
// by the command az. Such an identity needs the role "Storage Blob Data
// Contributor" on the container.
package azure
