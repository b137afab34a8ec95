// Package keyvault keeps secrets in an Azure Key Vault.
//
// A secret of the workspace is a secret of the vault under the lower-case form
// of its name; the tag "azml-name" keeps the spelling. Text is stored as it is,
// so that other programs can use the secret. What isn't text (bytes that are no
// UTF-8, control characters, and the empty value, which not every vault takes)
// is stored in base64 behind "base64:", and marked by the content type
// "application/vnd.azml.base64". Tags that others have put on a secret stay.
//
// A vault can be shared with other programs: [backend/prefixed.NewSecrets]
// puts the secrets of a workspace under a prefix of their own.
//
// # Deleting
//
// A vault keeps what was deleted for 7 to 90 days, and the name is taken so
// long. A Set of such a name recovers the secret and stores the new value as
// its next version, so nothing that an administrator may want back is lost;
// where the caller may purge but not recover, the old secret is purged. A vault
// may take from a second to some minutes for that, and Set waits. Should the
// caller die in between, the value from before the deletion is back.
//
// # Requests
//
// Get and Delete are one request, Set is two: it looks for the spelling and the
// tags first. List is one for 25 names. The first request of a Store is sent
// twice, as the vault's answer tells where to get a token. Requests that fail
// are sent again by the pipeline of the SDK, which obeys Retry-After, and by
// nothing else: put no package retrying around this one.
package keyvault
