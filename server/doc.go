// Package server lets others into a workspace over HTTP: MLflow clients of any
// language work against it unchanged. A Server is an http.Handler that a program
// mounts, or serves by itself:
//
//	srv, err := server.New(ws, nil)
//	…
//	err = srv.Serve(ctx, listener, nil)
//
// Everything that comes from a client is bounded: headers, bodies, the time that
// either may take, the number of connections. Once the workspace has a token
// (see package token), nothing but /health is answered without one; before
// that, only to clients on this machine. docs/server.md tells which role may do
// what.
package server
