package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/postgres"
	"github.com/azml-go/azml/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func source(server testenv.PostgreSQLServer) backend.DatastoreSource {
	return backend.DatastoreSource{Type: postgres.Type,
		Connection:  map[string]string{"host": server.Host, "port": strconv.Itoa(server.Port), "database": server.Database, "user": server.User},
		Credentials: backend.Credentials{"password": server.Password}}
}

func open(t *testing.T, source backend.DatastoreSource) *postgres.Store {
	t.Helper()
	opened, err := postgres.Driver{}.Open(t.Context(), source)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	return opened.(*postgres.Store)
}

// execute runs statements as the superuser, past the driver.
func execute(t *testing.T, server testenv.PostgreSQLServer, statements string) {
	t.Helper()
	config, err := pgx.ParseConfig("sslmode=disable")
	require.NoError(t, err)
	config.Host, config.Port, config.User, config.Password, config.Database = server.Host, uint16(server.Port), server.User, server.Password, server.Database
	config.Fallbacks = nil
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), statements, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
}

func all(t *testing.T, table backend.Table) ([][]any, error) {
	t.Helper()
	var rows [][]any
	for {
		row, err := table.Next()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
}

func rows(t *testing.T, s *postgres.Store, query string, args ...any) [][]any {
	t.Helper()
	table, err := s.Query(t.Context(), query, args...)
	require.NoError(t, err)
	defer func() { require.NoError(t, table.Close()) }()
	found, err := all(t, table)
	require.NoError(t, err)
	return found
}

// TestPostgreSQL has all tests in one, for starting a server takes a second.
func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	server := testenv.PostgreSQL(t)
	execute(t, server, `CREATE TABLE t (id int, big bigint, name text, price numeric(20,10), weight double precision, sold boolean, at timestamptz, day date, raw bytea, doc jsonb, key uuid, tags text[]);
		INSERT INTO t VALUES (1, 9007199254740993, 'one; two', 12345678.0123456789, 1.5, true, '2026-03-04 05:06:07+02', '2026-03-04', '\x00ff', '{"a": 1}', '5e2e7b2c-0000-4000-8000-000000000000', '{a,b}'); INSERT INTO t (id) VALUES (2);
		CREATE ROLE reader LOGIN PASSWORD 'reader'; CREATE TABLE private (x int)`)
	s := open(t, source(server))
	require.NoError(t, s.Check(t.Context()))
	t.Run("values", func(t *testing.T) {
		t.Parallel()
		table, err := s.Query(t.Context(), "SELECT * FROM t ORDER BY id;")
		require.NoError(t, err)
		kinds := ""
		for _, c := range table.Columns() {
			kinds += fmt.Sprintf("%s %s, ", c.Name, c.Type)
		}
		require.Equal(t, "id long, big long, name string, price string, weight float, sold bool, at datetime, day datetime, raw bytes, doc string, key string, tags string, ", kinds)
		found, err := all(t, table)
		require.NoError(t, err)
		require.NoError(t, table.Close())
		require.Equal(t, [][]any{
			{int64(1), int64(9007199254740993), "one; two", "12345678.0123456789", 1.5, true, time.Date(2026, 3, 4, 3, 6, 7, 0, time.UTC),
				time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC), []byte{0, 255}, `{"a": 1}`, "5e2e7b2c-0000-4000-8000-000000000000", "{a,b}"},
			{int64(2), nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil},
		}, found)
	})
	t.Run("parameters", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, [][]any{{int64(1)}}, rows(t, s, "SELECT id FROM t WHERE name = $1", "one; two"))
	})
	t.Run("infinite times are told", func(t *testing.T) {
		t.Parallel()
		table, err := s.Query(t.Context(), "SELECT 'infinity'::timestamptz AS late")
		require.NoError(t, err)
		_, err = all(t, table)
		require.ErrorIs(t, err, azml.ErrInvalid)
		require.ErrorContains(t, err, `row 1, column "late"`)
		require.NoError(t, table.Close())
	})
	t.Run("nothing is changed", func(t *testing.T) {
		t.Parallel()
		for _, query := range []string{"DELETE FROM t", "SELECT 1; DELETE FROM t", "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", "SELECT * INTO u FROM t",
			"SELECT * FROM t FOR UPDATE", "CREATE TABLE u (x int)", "COMMIT", "SELECT 1; COMMIT; DELETE FROM t", "TRUNCATE t"} {
			table, err := s.Query(t.Context(), query)
			if err == nil {
				_, err = all(t, table)
				_ = table.Close() // COMMIT has ended the transaction
			}
			if query != "COMMIT" {
				require.Error(t, err, query)
			}
		}
		require.Equal(t, [][]any{{int64(2)}}, rows(t, s, "SELECT count(*) FROM t"))
		require.Len(t, rows(t, s, "SELECT lo_create(0)"), 1) // which some versions let through
		require.Equal(t, [][]any{{int64(0)}}, rows(t, s, "SELECT count(*) FROM pg_largeobject_metadata"))
		require.Equal(t, [][]any{{"on"}}, rows(t, s, "SELECT current_setting('transaction_read_only')"))
	})
	t.Run("failures", func(t *testing.T) {
		t.Parallel()
		_, err := s.Query(t.Context(), "SELECT * FROM nothing")
		require.ErrorIs(t, err, azml.ErrInvalid)
		reader := source(server)
		reader.Connection["user"], reader.Credentials["password"] = "reader", "reader"
		_, err = open(t, reader).Query(t.Context(), "SELECT * FROM private")
		require.ErrorIs(t, err, azml.ErrDenied)
		wrong := source(server)
		wrong.Credentials["password"] = "wr0ng-password"
		err = open(t, wrong).Check(t.Context())
		require.ErrorIs(t, err, azml.ErrDenied)
		require.NotContains(t, err.Error(), "wr0ng-password")
		none := source(server)
		none.Connection["database"] = "nothing"
		require.ErrorIs(t, open(t, none).Check(t.Context()), azml.ErrNotFound)
		away := source(server)
		away.Connection["port"] = "1"
		require.ErrorIs(t, open(t, away).Check(t.Context()), azml.ErrUnavailable)
		encrypted := source(server)
		encrypted.Connection["sslMode"] = "require"
		require.ErrorIs(t, open(t, encrypted).Check(t.Context()), azml.ErrUnavailable)
	})
	t.Run("a late query ends on the server, too", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		table, err := s.Query(ctx, "SELECT pg_sleep(600) /* the late one */")
		if err == nil {
			_, err = all(t, table)
			require.NoError(t, table.Close())
		}
		require.Error(t, err)
		require.Eventually(t, func() bool {
			return len(rows(t, s, "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'")) == 0
		}, 10*time.Second, 20*time.Millisecond)
	})
	t.Run("many rows in little memory", func(t *testing.T) {
		t.Parallel()
		table, err := s.Query(t.Context(), "SELECT generate_series(1, 1000000000), repeat('x', 1000)")
		require.NoError(t, err)
		for i := range int64(1000) {
			row, err := table.Next()
			require.NoError(t, err)
			require.Equal(t, i+1, row[0])
		}
		require.NoError(t, table.Close())
	})
}

func TestBadSources(t *testing.T) {
	t.Parallel()
	for name, facts := range map[string]map[string]string{
		"port":  {"host": "h", "port": "x"},
		"port0": {"host": "h", "port": "0"},
		"port9": {"host": "h", "port": "99999"},
		"mode":  {"host": "h", "sslMode": "prefer"},
	} {
		_, err := postgres.Driver{}.Open(t.Context(), backend.DatastoreSource{Connection: facts})
		require.ErrorIs(t, err, azml.ErrInvalid, name)
	}
}
