// Package token has the access tokens of a workspace: who may do what through
// package server. Get a Client from a workspace's Tokens method.
//
// A token is shown once, when it is created; the workspace keeps its SHA-256. It
// has a role, expires, and can be revoked, which every process that serves the
// workspace obeys within a second.
//
//	azml_0123456789abcdef_<52 letters and digits>
//
// Programs that look for leaked secrets find tokens by the regular expression
// azml_[0-9a-f]{16}_[a-z2-7]{52}. The part in the middle is the token's ID, by
// which it is revoked.
package token
