package dataset_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/tabular"
)

func TestQuery(t *testing.T) {
	t.Parallel()
	ws, _ := setup(t, nil)
	file := filepath.Join(t.TempDir(), "shop.db")
	db, err := sqlite3.Open(file)
	require.NoError(t, err)
	require.NoError(t, db.Exec("CREATE TABLE sale (id INTEGER, sum REAL, shop TEXT, at TEXT, raw BLOB)"))
	for i := range 10_000 { // more than a batch
		require.NoError(t, db.Exec(fmt.Sprintf("INSERT INTO sale VALUES (%d, %d.5, 'shop %d', '2024-01-%02d', x'00ff')", i, i, i%3, i%28+1)))
		if i == 0 {
			require.NoError(t, db.Exec("BEGIN"))
		}
	}
	require.NoError(t, db.Exec("COMMIT"))
	require.NoError(t, db.Exec("INSERT INTO sale (id) VALUES (10000)"))
	require.NoError(t, db.Close())
	_, err = ws.Datastores().Register(t.Context(), "shop", datastore.SQLite{Path: file}, nil)
	require.NoError(t, err)

	c := ws.Datasets()
	d := must(t)(c.FromSQLQuery(t.Context(), "shop", "SELECT id, sum, shop, at, raw FROM sale ORDER BY id", &dataset.SQLOptions{Types: map[string]tabular.Type{"at": tabular.Time}}))
	require.Equal(t, tabular.Schema{{Name: "id", Type: tabular.Int}, {Name: "sum", Type: tabular.Float}, {Name: "shop", Type: tabular.String}, {Name: "at", Type: tabular.Time}, {Name: "raw", Type: tabular.Bytes}}, d.Columns())
	n, err := d.Count(t.Context(), nil)
	require.NoError(t, err)
	require.EqualValues(t, 10_001, n)
	type sale struct {
		ID   int
		Sum  float64
		Shop *string
		At   time.Time
		Raw  []byte
	}
	rows := all(t, dataset.Rows[sale](t.Context(), must(t)(d.Filter("id >= 9999")), nil))
	require.Equal(t, sale{9999, 9999.5, new("shop 0"), time.Date(2024, 1, 4, 0, 0, 0, 0, time.UTC), []byte{0, 255}}, rows[0])
	require.Nil(t, rows[1].Shop)

	registered := must(t)(d.Register(t.Context(), "sales", nil))
	require.Equal(t, ints(0, 1), column(t, must(t)(must(t)(c.Get(t.Context(), "sales", 1, nil)).Take(2)), "id"))
	_, err = registered.Check(t.Context(), nil)
	require.ErrorIs(t, err, azml.ErrUnsupported)
	for text, want := range map[string]string{
		"":                                   "the query is empty",
		"DELETE FROM sale":                   "",
		"SELECT 1; DROP TABLE sale":          "",
		"SELECT id, id FROM sale":            "",
		"SELECT nothing FROM nowhere":        "",
		"SELECT id AS a, sum AS a FROM sale": "two columns \"a\"",
	} {
		_, err := c.FromSQLQuery(t.Context(), "shop", text, nil)
		require.ErrorIs(t, err, azml.ErrInvalid, text)
		require.ErrorContains(t, err, want)
	}
	_, err = c.FromSQLQuery(t.Context(), "", "SELECT 1", nil)
	require.ErrorIs(t, err, azml.ErrUnsupported, "a folder is no database")
	_, err = c.FromFiles(t.Context(), []dataset.Path{{Datastore: "shop", Path: "x"}}, nil)
	require.ErrorIs(t, err, azml.ErrUnsupported)
}
