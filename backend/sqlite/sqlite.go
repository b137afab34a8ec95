package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Type is the type of datastores that are SQLite databases.
const Type = "SQLite"

// Driver opens SQLite databases as datastores. The one fact of a connection is
// "path", an absolute one.
type Driver struct{}

// Type gives Type.
func (Driver) Type() string { return Type }

// Open implements backend.DatastoreDriver.
func (Driver) Open(_ context.Context, source backend.DatastoreSource) (backend.Datastore, error) {
	path := source.Connection["path"]
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("%w: path %q: name the database by its absolute path", azml.ErrInvalid, path)
	}
	return Store{path}, nil
}

// Store is a database. Each query has a connection of its own.
type Store struct{ path string }

// Close does nothing: queries are closed by whoever asked.
func (Store) Close() error { return nil }

// Check implements backend.Datastore: the file must be a database.
func (s Store) Check(ctx context.Context) error {
	t, err := s.Query(ctx, "SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return err
	}
	_, err = t.Next()
	return errors.Join(err, t.Close())
}

// Query implements backend.DataTables.
func (s Store) Query(ctx context.Context, query string, args ...any) (_ backend.Table, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	info, err := os.Stat(s.path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: %s is no file", azml.ErrInvalid, s.path)
	}
	if err != nil {
		return nil, fail(ctx, err)
	}
	c, err := sqlite3.OpenFlags(s.path, sqlite3.OPEN_READONLY)
	if err != nil {
		return nil, fail(ctx, err)
	}
	t := &table{ctx: ctx, conn: c}
	defer func() {
		if err != nil {
			err = errors.Join(fail(ctx, err), t.Close())
		}
	}()
	if err := c.Exec("PRAGMA busy_timeout = 10000; PRAGMA trusted_schema = OFF; PRAGMA query_only = ON"); err != nil {
		return nil, err
	}
	c.SetInterrupt(ctx)
	stmt, tail, err := c.Prepare(query)
	switch {
	case err != nil:
		return nil, err
	case stmt == nil || strings.Trim(tail, "; \t\r\n") != "":
		return nil, errors.Join(fmt.Errorf("%w: use one statement", azml.ErrInvalid), stmt.Close())
	}
	t.stmt = stmt
	if !stmt.ReadOnly() {
		return nil, fmt.Errorf("%w: the statement would change the database", azml.ErrInvalid)
	}
	for i, arg := range args {
		if err := bind(stmt, i+1, arg); err != nil {
			return nil, err
		}
	}
	t.describe()
	return t, nil
}

// fail gives an error of SQLite or the file system its class.
func fail(ctx context.Context, err error) error {
	class := azml.ErrUnavailable
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case azml.ClassOf(err) != nil:
		return err
	case errors.Is(err, os.ErrNotExist):
		class = azml.ErrNotFound
	case errors.Is(err, os.ErrPermission), errors.Is(err, sqlite3.READONLY), errors.Is(err, sqlite3.AUTH), errors.Is(err, sqlite3.PERM):
		class = azml.ErrDenied
	case errors.Is(err, sqlite3.CORRUPT), errors.Is(err, sqlite3.NOTADB):
		class = azml.ErrDamaged
	case errors.Is(err, sqlite3.ERROR), errors.Is(err, sqlite3.MISMATCH), errors.Is(err, sqlite3.RANGE), errors.Is(err, sqlite3.TOOBIG):
		class = azml.ErrInvalid
	}
	return fmt.Errorf("%w: %w", class, err)
}
