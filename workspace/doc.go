// Package workspace opens a workspace and leads to everything in it:
//
//	ws, err := workspace.Open(ctx, "/srv/ml", nil)
//	if err != nil { … }
//	defer ws.Close(ctx)
//	exp, err := ws.Experiments().CreateOrUpdate(ctx, "churn", nil)
//
// A workspace is a set of objects in an object store and of secrets in a
// secret store: by default one local folder. It needs no server; any number of
// processes open it at the same time. It is the one package that chooses
// defaults: local files, encrypted secret files and local processes.
package workspace
