package postgres

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Type is the type of datastores that are PostgreSQL databases, Azure ML's name.
const Type = "AzurePostgreSql"

// Driver opens PostgreSQL databases as datastores. Facts of a connection are
// "host", "port", "database", "user" and "sslMode"; the credential is
// "password". Variables such as PGHOST and files such as .pgpass are not looked
// at.
type Driver struct{}

// Type gives Type.
func (Driver) Type() string { return Type }

// sslModes are the ways to connect, libpq's.
var sslModes = []string{"disable", "require", "verify-ca", "verify-full"}

// Open implements backend.DatastoreDriver.
func (Driver) Open(_ context.Context, source backend.DatastoreSource) (backend.Datastore, error) {
	config, err := configOf(source)
	if err != nil {
		return nil, err
	}
	db := stdlib.OpenDB(*config)
	const connections = 8 // what a database gives to one client without notice
	db.SetMaxOpenConns(connections)
	db.SetConnMaxIdleTime(time.Minute)
	return &Store{db}, nil
}

// configOf makes pgx's configuration. pgx wants it made by its parser, which
// would take the rest from the environment; so every member is set after it.
func configOf(source backend.DatastoreSource) (*pgx.ConnConfig, error) {
	facts := source.Connection
	mode := facts["sslMode"]
	if mode == "" {
		mode = "verify-full"
		if ip := net.ParseIP(facts["host"]); facts["host"] == "localhost" || ip.IsLoopback() {
			mode = "disable"
		}
	}
	if !slices.Contains(sslModes, mode) {
		return nil, fmt.Errorf("%w: sslMode %q: use disable, require, verify-ca or verify-full", azml.ErrInvalid, mode)
	}
	port := uint64(5432)
	if text := facts["port"]; text != "" {
		var err error
		if port, err = strconv.ParseUint(text, 10, 16); err != nil || port == 0 {
			return nil, fmt.Errorf("%w: port %q: use 1 to 65535", azml.ErrInvalid, text)
		}
	}
	config, err := pgx.ParseConfig("host=localhost user=nobody password=none database=none sslmode=disable passfile=/dev/null servicefile=/dev/null")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", azml.ErrInvalid, err)
	}
	const connectTime = 30 * time.Second
	config.Host, config.Port, config.Database = facts["host"], uint16(port), facts["database"]
	config.User, config.Password = facts["user"], source.Credentials["password"]
	config.ConnectTimeout = connectTime
	config.Fallbacks = nil
	config.RuntimeParams = map[string]string{"application_name": "azml", "default_transaction_read_only": "on", "datestyle": "ISO"}
	config.TLSConfig = tlsConfig(mode, facts["host"])
	return config, nil
}

// tlsConfig gives what a mode of libpq's means, nil for no TLS.
func tlsConfig(mode, host string) *tls.Config {
	switch mode {
	case "disable":
		return nil
	case "verify-full":
		return &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	}
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: true} //nolint:gosec // what the user asked for, or verified below
	if mode == "verify-ca" {
		c.VerifyConnection = verifyChain
	}
	return c
}

// Store is an opened database. It is safe for concurrent use.
type Store struct{ db *sql.DB }

// Close ends the connections.
func (s *Store) Close() error { return s.db.Close() }

// Check implements backend.Datastore: it logs in.
func (s *Store) Check(ctx context.Context) error { return fail(ctx, s.db.PingContext(ctx)) }

// Query implements backend.DataTables.
func (s *Store) Query(ctx context.Context, query string, args ...any) (_ backend.Table, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		if err != nil {
			cancel()
		}
	}()
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fail(ctx, err)
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback() // what went wrong before is what counts
		}
	}()
	if deadline, ok := ctx.Deadline(); ok {
		left := max(time.Until(deadline).Milliseconds(), 1)
		if _, err := tx.ExecContext(ctx, "SET LOCAL statement_timeout = "+strconv.FormatInt(left, 10)); err != nil {
			return nil, fail(ctx, err)
		}
	}
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fail(ctx, err)
	}
	t := &table{ctx: ctx, cancel: cancel, tx: tx, rows: rows}
	return t, t.describe()
}

// fail gives an error of PostgreSQL its class.
func fail(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		return fmt.Errorf("%w: %w", classOf(refused.Code), err)
	}
	return fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
}

// classOf gives the class of an SQLSTATE.
func classOf(code string) error {
	switch code {
	case "28000", "28P01", "42501": // authorization, password, privilege
		return azml.ErrDenied
	case "3D000": // no such database
		return azml.ErrNotFound
	case "57014": // canceled, for example by statement_timeout
		return azml.ErrUnavailable
	}
	switch code[:min(2, len(code))] {
	case "08", "53", "57", "58", "XX": // connection, resources, intervention, system, internal
		return azml.ErrUnavailable
	}
	return azml.ErrInvalid
}
