package datastore

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

func TestURIs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]URI{
		"azureml://datastores/raw/paths/a/b.csv":                                         {Datastore: "raw", Path: "a/b.csv"},
		"azureml://datastores/raw/paths/a b%20c?#/é/":                                    {Datastore: "raw", Path: "a b%20c?#/é/"},
		"azureml://datastores/raw/paths/":                                                {Datastore: "raw"},
		"azureml://datastores/raw/paths/datastores/x/y":                                  {Datastore: "raw", Path: "datastores/x/y"},
		"azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/raw/paths/a": {Subscription: "s", ResourceGroup: "g", Workspace: "w", Datastore: "raw", Path: "a"},
	} {
		got, err := ParseURI(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
		require.Equal(t, text, got.String())
	}
	for _, same := range []string{"azureml://datastores/raw", "AzureML://Datastores/raw/Paths/", "azureml://datastores/raw/"} {
		got, err := ParseURI(same)
		require.NoError(t, err, same)
		require.Equal(t, "azureml://datastores/raw/paths/", got.String())
	}
	got, err := ParseURI("azureml://subscriptions/s/resourceGroups/g/workspaces/w/datastores/raw/paths/a")
	require.NoError(t, err)
	require.Equal(t, "g", got.ResourceGroup)
	for _, bad := range []string{"", "raw", "https://datastores/raw/paths/x", "azureml://", "azureml://datastores", "azureml://datastores/", "azureml://datastores//paths/x",
		"azureml://datastores/raw/x", "azureml://jobs/1/outputs/o/paths/x", "azureml://subscriptions/s/datastores/raw/paths/x",
		"azureml://subscriptions//resourcegroups/g/workspaces/w/datastores/raw/paths/a", "azureml:raw:1"} {
		_, err := ParseURI(bad)
		require.ErrorIs(t, err, azml.ErrInvalid, bad)
	}
}

func FuzzParseURI(f *testing.F) {
	for _, seed := range []string{"azureml://datastores/raw/paths/a/b.csv", "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/raw/paths/a", "azureml://datastores/raw", "azureml://subscriptions/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseURI(text)
		if err != nil {
			require.ErrorIs(t, err, azml.ErrInvalid)
			return
		}
		again, err := ParseURI(u.String())
		require.NoError(t, err)
		require.Equal(t, u, again)
		require.NotEmpty(t, u.Datastore)
	})
}

func TestCheckStatement(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"SELECT 1", "select 1;", " \n\t(SELECT 1) UNION (SELECT 2) ; ; -- end", "WITH x AS (SELECT 1) SELECT * FROM x", "VALUES (1)", "TABLE t",
		"-- first; DELETE\nSELECT ';' AS \"a;b\", E'\\';', `x;`, $$;$$, $tag$ ; $$ $tag$", "/* a /* ; */ b */ SELECT 1 /* ; */", "SELECT 'it''s; fine'", "SELECT a$1 FROM t WHERE b = $1;",
		"SELECT 1 -- ; DROP", "SELECT 'open ; ended"} {
		require.NoError(t, checkStatement(good), good)
	}
	for _, bad := range []string{"", "  ", ";", "-- SELECT 1", "/* SELECT 1", "DELETE FROM t", "SELECT 1; DELETE FROM t", "SELECT ';'; DELETE FROM t", "SELECT 1 /* ; */ ; /* */ DROP TABLE t",
		"SELECT $$a$$; DROP TABLE t", "SELECT e'x\\\\'; DROP TABLE t", "SELECTED", "EXPLAIN ANALYZE DELETE FROM t", "INSERT INTO t SELECT 1", "PRAGMA x", "COPY t TO PROGRAM 'x'", "SELECT 1;\x00"} {
		require.ErrorIs(t, checkStatement(bad), azml.ErrInvalid, bad)
	}
}

func FuzzCheckStatement(f *testing.F) {
	for _, seed := range []string{"SELECT ';' AS \"a;b\", E'\\';', `x;`, $$;$$, $tag$ ; $$ $tag$", "/* a /* ; */ b */ SELECT 1", "SELECT 'it''s; fine' -- ;", "(((SELECT"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if checkStatement(text) != nil {
			return
		}
		// Whatever is good has nothing behind its end, however it is read.
		end := statementEnd(text)
		require.LessOrEqual(t, end, len(text))
		require.NotContains(t, text, "\x00")
		require.False(t, strings.TrimSpace(text) == "")
		if end < len(text) { // it was ended
			require.ErrorIs(t, checkStatement(text[:end]+"; DELETE FROM t"), azml.ErrInvalid)
		}
	})
}
