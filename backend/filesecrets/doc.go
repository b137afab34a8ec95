// Package filesecrets keeps secrets as encrypted files in a folder, one file
// for each. Any number of processes may use a folder at once.
//
// # Files
//
// The secret "Churn-Key" is the file "secret-churn-key.json", a JSON object:
//
//	{"version": 1, "name": "Churn-Key", "key_id": "…", "nonce": "…", "sealed": "…"}
//
// The value is sealed with AES-256-GCM under a fresh random nonce; the text
// "azml secret 1\n", the lower-case name, "\n" and the name as spelled are
// bound to it, so that a file that is renamed or edited does not open. The key's
// ID (the first 8 bytes of SHA-256 of "azml secret key\n" and the key) tells a
// wrong key from a damaged file. Binary fields are base64. Length and number
// of values are not hidden. Files are written to a temporary file, synced and
// renamed, under the lock of ".lock".
//
// # The key
//
// The key is 32 random bytes. Options.Key gives it, usually from the
// environment ([KeyFromEnv]); else it is read from a file (Options.KeyFile) of
// mode 0600, base64 in one line, made on first use. By default that file is
// azml/secrets.key in the user's configuration folder and not in or beside the
// folder of the secrets: who copies, shares or backs up a workspace must not
// hand out the key with it.
package filesecrets
