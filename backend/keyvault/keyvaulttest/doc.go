// Package keyvaulttest is a key vault for tests: a server over TLS on a port of
// this machine, in memory, that the SDK's real client talks to. It behaves as
// Azure's does where programs notice it: the challenge that leads to a token,
// versions, soft deletion with recovery and purging and the time that these
// take, disabled and expired secrets, permissions, pages of 25, throttling, and
// the codes of errors. Certificates, keys, backup and restore are not there.
//
// The requests go through the SDK's own azsecrets/fake server, so that their
// paths and bodies are what the SDK has generated. Lists are answered beside
// it: it can't tell two listings apart that go on at once.
//
//	v := keyvaulttest.Start(nil)
//	defer v.Close()
//	secrets, err := keyvault.New(v.URL(), v.Credential(), &keyvault.Options{Client: v.ClientOptions()})
package keyvaulttest
