// Package gateway lends a workspace's stores to one run on another machine: a
// handler over the stores of whoever submitted the run, and a client that is a
// backend.Objects and a backend.Secrets again. Conditions, ETags, ranges, times
// and errors carry over as they are, so all that is above the seam works on the
// far side as it does here.
//
// It lends the datastores, too: their files are reached as the workspace's objects
// are, and queries are asked here, so that their credentials stay here.
//
// A token lets one run in, and a Scope says what it reaches. The connection
// between the two is the target's (backend.Remote): a Unix socket, or a port of
// the loopback that is forwarded over SSH. So there is no TLS here.
//
// The protocol is HTTP/1.1 below "/azml/gateway/1/"; docs/format.md has it.
package gateway
