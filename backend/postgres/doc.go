// Package postgres asks a PostgreSQL database, Azure's among them. It links
// pgx, so only programs that use it import it:
//
//	workspace.Open(ctx, dir, &workspace.OpenOptions{Datastores: []backend.DatastoreDriver{postgres.Driver{}}})
//
// Each query is a read-only transaction with the time limit of its context as
// the server's statement_timeout, so a query that nobody waits for any more ends
// on the server, too. A read-only transaction keeps the tables as they are;
// what else a role may do, such as calling functions that reach out of the
// database, is for the server to say: give a role that may only read.
package postgres
