package sqlite_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	sqlite3 "github.com/ncruces/go-sqlite3"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const schema = `CREATE TABLE t (id INTEGER, name TEXT, price REAL, sold BOOLEAN, at DATETIME, raw BLOB);
INSERT INTO t VALUES (1, 'one; two', 1.5, 1, '2026-03-04 05:06:07', x'00ff'), (NULL, NULL, NULL, NULL, NULL, NULL), (3, 'ü', 2, 7, 'never', 'text');`

// database makes a database and opens it.
func database(t *testing.T) (sqlite.Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a b?c#d.db")
	c, err := sqlite3.Open("file:" + filepath.ToSlash(filepath.Dir(path)) + "/a%20b%3fc%23d.db")
	require.NoError(t, err)
	require.NoError(t, c.Exec(schema))
	require.NoError(t, c.Close())
	return open(t, path), path
}

func open(t *testing.T, path string) sqlite.Store {
	t.Helper()
	opened, err := sqlite.Driver{}.Open(t.Context(), backend.DatastoreSource{Type: sqlite.Type, Connection: map[string]string{"path": path}})
	require.NoError(t, err)
	return opened.(sqlite.Store)
}

func rows(t *testing.T, s sqlite.Store, query string, args ...any) [][]any {
	t.Helper()
	table, err := s.Query(t.Context(), query, args...)
	require.NoError(t, err)
	defer func() { require.NoError(t, table.Close()) }()
	var all [][]any
	for {
		row, err := table.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all = append(all, row)
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	s, _ := database(t)
	require.NoError(t, s.Check(t.Context()))
	require.Equal(t, [][]any{
		{int64(1), "one; two", 1.5, true, time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), []byte{0, 255}},
		{nil, nil, nil, nil, nil, nil},
		{int64(3), "ü", 2.0, int64(7), "never", "text"},
	}, rows(t, s, "SELECT * FROM t ORDER BY rowid"))
	require.Equal(t, [][]any{{int64(3)}}, rows(t, s, "SELECT id FROM t WHERE name = ? AND price > ? -- the end", "ü", 1))
	table, err := s.Query(t.Context(), "SELECT id, upper(name) AS loud FROM t")
	require.NoError(t, err)
	require.Equal(t, []backend.Column{{Name: "id", DatabaseType: "INTEGER"}, {Name: "loud"}}, table.Columns())
	require.NoError(t, table.Close())
}

func TestNothingIsChanged(t *testing.T) {
	t.Parallel()
	s, path := database(t)
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	other := filepath.Join(t.TempDir(), "other.db")
	for _, query := range []string{"DELETE FROM t", "SELECT 1; DELETE FROM t", "WITH x AS (SELECT 1) DELETE FROM t", "INSERT INTO t (id) VALUES (9) RETURNING id",
		"ATTACH '" + other + "' AS o", "VACUUM INTO '" + other + "'", "PRAGMA query_only = OFF", "CREATE TABLE u (x)", "SELECT load_extension('x')", "", ";", "-- nothing"} {
		table, err := s.Query(t.Context(), query)
		if err == nil { // refused when it runs, or it changes only the connection
			_, err = table.Next()
			require.NoError(t, table.Close())
		}
		if query != "PRAGMA query_only = OFF" {
			require.Error(t, err, query)
		}
	}
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.NoFileExists(t, other)
	require.Len(t, rows(t, s, "SELECT * FROM t"), 3)
}

func TestFailures(t *testing.T) {
	t.Parallel()
	good, path := database(t)
	dir := t.TempDir()
	noDatabase := filepath.Join(dir, "text.db")
	require.NoError(t, os.WriteFile(noDatabase, make([]byte, 4096), 0o600))
	for name, tt := range map[string]struct {
		path, query string
		class       error
	}{
		"missing":       {filepath.Join(dir, "none.db"), "SELECT 1", azml.ErrNotFound},
		"folder":        {dir, "SELECT 1", azml.ErrInvalid},
		"no database":   {noDatabase, "SELECT * FROM sqlite_schema", azml.ErrDamaged},
		"syntax":        {path, "SELECT FROM", azml.ErrInvalid},
		"no such table": {path, "SELECT * FROM nothing", azml.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table, err := open(t, tt.path).Query(t.Context(), tt.query)
			if err == nil {
				_, err = table.Next()
				require.NoError(t, table.Close())
			}
			require.ErrorIs(t, err, tt.class)
		})
	}
	require.NoFileExists(t, filepath.Join(dir, "none.db"))
	_, err := good.Query(t.Context(), "SELECT ?", struct{}{})
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = sqlite.Driver{}.Open(t.Context(), backend.DatastoreSource{Connection: map[string]string{"path": "relative.db"}})
	require.ErrorIs(t, err, azml.ErrInvalid)
}

func TestEndlessQueryIsInterrupted(t *testing.T) {
	t.Parallel()
	s, _ := database(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	table, err := s.Query(ctx, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")
	require.NoError(t, err)
	_, err = table.Next()
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, table.Close())
}
