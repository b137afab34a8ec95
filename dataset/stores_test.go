package dataset_test

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/azureblob"
	"github.com/azml-go/azml/backend/postgres"
	"github.com/azml-go/azml/backend/s3"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/tabular"
	"github.com/azml-go/azml/workspace"
)

// openWith opens a workspace with all drivers.
func openWith(t *testing.T) *workspace.Workspace {
	t.Helper()
	dir := t.TempDir()
	opts := workspacetest.Options(dir)
	opts.Datastores = []backend.DatastoreDriver{s3.Driver{}, azureblob.Driver{}, postgres.Driver{}}
	ws, err := workspace.Open(t.Context(), filepath.Join(dir, "ws"), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ws.Close(context.Background())) })
	return ws
}

// somewhere is where the files of a test lie, and how they are changed.
type somewhere struct {
	at      func(path string) dataset.Path
	put     func(t *testing.T, path string, data []byte)
	cannot  bool // list and seek the way of stores
	created bool
}

// kinds of datastores with files, each a real one.
var kinds = map[string]func(t *testing.T, ws *workspace.Workspace) somewhere{
	"folder": func(t *testing.T, ws *workspace.Workspace) somewhere {
		return registered(t, ws, datastore.Folder{Path: t.TempDir()})
	},
	"S3": func(t *testing.T, ws *workspace.Workspace) somewhere {
		server := testenv.S3(t)
		p := registered(t, ws, datastore.S3{Endpoint: server.Endpoint, Bucket: "data", Region: server.Region, Prefix: "team/", AccessKeyID: server.AccessKey, SecretAccessKey: datastore.Secret(server.SecretKey)})
		p.created = true
		return p
	},
	"Azure Blob": func(t *testing.T, ws *workspace.Workspace) somewhere {
		server := testenv.Azurite(t, testenv.AzuriteOptions{})
		p := registered(t, ws, datastore.Blob{Account: server.Account, Container: "data", Endpoint: server.URL, AccountKey: datastore.Secret(server.Key)})
		p.created = true
		return p
	},
	"web server": func(t *testing.T, ws *workspace.Workspace) somewhere {
		dir, server := serveFolder(t)
		_, err := ws.Datastores().Register(t.Context(), "web", datastore.HTTP{URL: server.URL + "/base"}, nil)
		require.NoError(t, err)
		return somewhere{at: func(p string) dataset.Path { return dataset.Path{Datastore: "web", Path: p} }, put: putFile(filepath.Join(dir, "base")), cannot: true}
	},
	"URLs": func(t *testing.T, _ *workspace.Workspace) somewhere {
		dir, server := serveFolder(t)
		return somewhere{at: func(p string) dataset.Path { return dataset.Path{Path: server.URL + "/" + p} }, put: putFile(dir), cannot: true}
	},
}

func registered(t *testing.T, ws *workspace.Workspace, config datastore.Config) somewhere {
	t.Helper()
	d, err := ws.Datastores().Register(t.Context(), "store", config, &datastore.RegisterOptions{Create: true})
	require.NoError(t, err)
	return somewhere{at: func(p string) dataset.Path { return dataset.Path{Datastore: "store", Path: p} }, put: func(t *testing.T, path string, data []byte) {
		t.Helper()
		_, err := d.Write(t.Context(), path, bytes.NewReader(data), &datastore.WriteOptions{Overwrite: true})
		require.NoError(t, err)
	}}
}

func putFile(dir string) func(t *testing.T, path string, data []byte) {
	return func(t *testing.T, path string, data []byte) {
		t.Helper()
		name := filepath.Join(dir, filepath.FromSlash(path))
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, data, 0o644))
	}
}

// serveFolder serves a new folder as web servers do.
func serveFolder(t *testing.T) (string, *httptest.Server) {
	t.Helper()
	dir := t.TempDir()
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	return dir, server
}

type reading struct {
	ID    int64   `dataset:"id" parquet:"id"`
	Name  string  `dataset:"name" parquet:"name"`
	Score float64 `dataset:"score" parquet:"score"`
}

// TestStores reads tables of every kind of file from every kind of datastore.
func TestStores(t *testing.T) {
	t.Parallel()
	var want []reading
	var text, lines, columns bytes.Buffer
	text.WriteString("id,name,score\n")
	for i := range 30_000 { // more than a block, a batch and a read-ahead
		r := reading{int64(i), "name " + strconv.Itoa(i), float64(i) / 4}
		want = append(want, r)
		text.WriteString(strconv.Itoa(i) + "," + r.Name + "," + strconv.FormatFloat(r.Score, 'g', -1, 64) + "\n")
		lines.WriteString(`{"id":` + strconv.Itoa(i) + `,"name":"` + r.Name + `","score":` + strconv.FormatFloat(r.Score, 'g', -1, 64) + "}\n")
	}
	require.NoError(t, parquet.Write(&columns, want, parquet.MaxRowsPerRowGroup(10_000)))
	for name, open := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws := openWith(t)
			c, s := ws.Datasets(), open(t, ws)
			s.put(t, "in/a b ü.csv", text.Bytes())
			s.put(t, "in/x.jsonl", lines.Bytes())
			s.put(t, "in/x.parquet", columns.Bytes())
			made := map[string]*dataset.Dataset{
				"delimited": must(t)(c.FromDelimitedFiles(t.Context(), []dataset.Path{s.at("in/a b ü.csv")}, nil)),
				"lines":     must(t)(c.FromJSONLinesFiles(t.Context(), []dataset.Path{s.at("in/x.jsonl")}, nil)),
				"parquet":   must(t)(c.FromParquetFiles(t.Context(), []dataset.Path{s.at("in/x.parquet")}, nil)),
			}
			for kind, d := range made {
				require.Equal(t, want, all(t, dataset.Rows[reading](t.Context(), d, nil)), kind)
				v := must(t)(d.Register(t.Context(), kind, nil))
				changes, err := v.Check(t.Context(), nil)
				require.NoError(t, err)
				require.True(t, changes.None(), kind)
				again := must(t)(c.FromDelimitedFiles(t.Context(), []dataset.Path{s.at("in/a b ü.csv")}, nil))
				require.Equal(t, made["delimited"].ID(), again.ID(), "the same definition")
			}
			for _, p := range made["delimited"].Details().Paths {
				parsed, err := dataset.ParsePath(p)
				require.NoError(t, err)
				require.Equal(t, made["delimited"].Paths()[0], parsed)
			}
			filesOfStore(t, c, s)

			time.Sleep(1100 * time.Millisecond) // HTTP has times of whole seconds
			s.put(t, "in/x.jsonl", slices.Concat(lines.Bytes(), []byte(`{"id":1,"name":"new","score":0}`)))
			changes, err := must(t)(c.Get(t.Context(), "lines", 1, nil)).Check(t.Context(), nil)
			require.NoError(t, err)
			require.EqualValues(t, 1, changes.Changed)
			_, err = c.FromDelimitedFiles(t.Context(), []dataset.Path{s.at("in/none.csv")}, nil)
			require.ErrorIs(t, err, azml.ErrNotFound)
			require.ErrorContains(t, err, "none.csv")
		})
	}
}

// filesOfStore looks at the files as they are.
func filesOfStore(t *testing.T, c *dataset.Client, s somewhere) {
	t.Helper()
	paths := []dataset.Path{s.at("in/x.jsonl"), s.at("in/x.parquet")}
	if !s.cannot {
		paths = []dataset.Path{s.at("in/x.*")}
	}
	d := must(t)(c.FromFiles(t.Context(), paths, nil))
	shown, err := d.FS(t.Context())
	require.NoError(t, err)
	f, err := shown.Open("x.parquet")
	require.NoError(t, err)
	b := make([]byte, 4)
	_, err = f.(io.ReaderAt).ReadAt(b, 0)
	require.NoError(t, err)
	require.Equal(t, "PAR1", string(b))
	require.NoError(t, f.Close())
	dir := t.TempDir()
	got, err := d.Download(t.Context(), dir, nil)
	require.NoError(t, err)
	require.Len(t, got, 2)
	big := must(t)(d.Filter("Size > 100000 and CanSeek and LastModifiedTime > '2020-01-01' and Extension = '.jsonl'"))
	n, err := big.Count(t.Context(), nil)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	n, err = must(t)(d.Filter("CreationTime > '2020-01-01'")).Count(t.Context(), nil)
	if !s.created {
		require.ErrorIs(t, err, azml.ErrUnsupported)
		require.ErrorContains(t, err, "filter by LastModifiedTime")
		return
	}
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
}

// TestWebWithoutSize reads from a server that says neither how long a file is nor
// when it changed.
func TestWebWithoutSize(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/a.csv" {
			http.NotFound(w, r)
			return
		}
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		for i := range 1000 {
			if i == 0 {
				_, _ = io.WriteString(w, "i\n")
			}
			_, _ = io.WriteString(w, strconv.Itoa(i)+"\n")
			w.(http.Flusher).Flush()
		}
	}))
	t.Cleanup(server.Close)
	ws := openWith(t)
	d := must(t)(ws.Datasets().FromDelimitedFiles(t.Context(), []dataset.Path{{Path: server.URL + "/a.csv"}}, nil))
	require.Len(t, column(t, d, "i"), 1000)
	v := must(t)(d.Register(t.Context(), "web", nil))
	require.Zero(t, v.Details().Bytes)
	changes, err := v.Check(t.Context(), nil)
	require.NoError(t, err)
	require.True(t, changes.None())
	files := must(t)(ws.Datasets().FromFiles(t.Context(), []dataset.Path{{Path: server.URL + "/a.csv"}}, nil))
	_, err = files.Download(t.Context(), t.TempDir(), nil)
	require.NoError(t, err)
	n, err := must(t)(files.Filter("not CanSeek and Size is null")).Count(t.Context(), nil)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
}

func TestURLsRefuse(t *testing.T) {
	t.Parallel()
	ws, _ := setup(t, nil)
	for text, want := range map[string]string{
		"https://user:pass-w0rd@example.org/a.csv": "URL \"https://example.org/a.csv\": use http://host/path",
		"https://example.org/a.csv?sig=pass-w0rd":  "without user, query and fragment",
		"http:///a.csv":                "use http://host/path",
		"wasbs://c@account.blob/a.csv": "instead of a wasbs URL",
	} {
		_, err := ws.Datasets().FromFiles(t.Context(), []dataset.Path{{Path: text}}, nil)
		require.ErrorIs(t, err, azml.ErrInvalid, text)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "pass-w0rd")
	}
	_, err := ws.Datasets().FromFiles(t.Context(), []dataset.Path{{Path: "http://127.0.0.1:1/*.csv"}}, nil)
	require.ErrorIs(t, err, azml.ErrUnsupported)
	require.ErrorContains(t, err, "a web server can't be listed")
}

// TestPostgreSQL reads the rows of a query of a real server, with all types.
func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	server := testenv.PostgreSQL(t)
	config, err := pgx.ParseConfig("sslmode=disable")
	require.NoError(t, err)
	config.Host, config.Port, config.User, config.Password, config.Database = server.Host, uint16(server.Port), server.User, server.Password, server.Database
	config.Fallbacks = nil
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `CREATE TABLE sale (id bigint, price numeric(10,2), f double precision, shop text, good boolean, at timestamptz, raw bytea);
		INSERT INTO sale SELECT i, i / 4.0, i / 8.0, CASE WHEN i % 3 = 0 THEN NULL ELSE 'shop ' || i END, i % 2 = 0, timestamptz '2024-01-01 00:00:00Z' + i * interval '1 second', '\x00ff'
		FROM generate_series(0, 19999) AS r(i)`, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	ws := openWith(t)
	_, err = ws.Datastores().Register(t.Context(), "db", datastore.PostgreSQL{Host: server.Host, Port: server.Port, Database: server.Database, User: server.User, Password: datastore.Secret(server.Password), SSLMode: "disable"}, nil)
	require.NoError(t, err)
	d := must(t)(ws.Datasets().FromSQLQuery(t.Context(), "db", "SELECT * FROM sale ORDER BY id", &dataset.SQLOptions{Types: map[string]tabular.Type{"price": tabular.Decimal}}))
	require.Equal(t, tabular.Schema{{Name: "id", Type: tabular.Int}, {Name: "price", Type: tabular.Decimal}, {Name: "f", Type: tabular.Float}, {Name: "shop", Type: tabular.String},
		{Name: "good", Type: tabular.Bool}, {Name: "at", Type: tabular.Time}, {Name: "raw", Type: tabular.Bytes}}, d.Columns())
	type sale struct {
		ID    int
		Price string
		F     float64
		Shop  *string
		Good  bool
		At    time.Time
		Raw   []byte
	}
	rows := all(t, dataset.Rows[sale](t.Context(), d, nil))
	require.Len(t, rows, 20_000)
	require.Nil(t, rows[0].Shop)
	require.Equal(t, sale{19_999, "4999.75", 2499.875, new("shop 19999"), false, time.Date(2024, 1, 1, 5, 33, 19, 0, time.UTC), []byte{0, 255}}, rows[19_999])
	p, err := must(t)(d.Filter("shop is null")).Profile(t.Context(), &dataset.ProfileOptions{Columns: []string{"f"}})
	require.NoError(t, err)
	require.EqualValues(t, 6667, p.Rows)
	must(t)(d.Register(t.Context(), "sales", nil))
	for text, class := range map[string]error{"DELETE FROM sale": azml.ErrInvalid, "SELECT 1; DROP TABLE sale": azml.ErrInvalid, "SELECT nothing": azml.ErrInvalid,
		"WITH x AS (DELETE FROM sale RETURNING *) SELECT * FROM x": azml.ErrInvalid} {
		_, err := ws.Datasets().FromSQLQuery(t.Context(), "db", text, nil)
		require.ErrorIs(t, err, class, text)
	}
	n, err := d.Count(t.Context(), nil)
	require.NoError(t, err)
	require.EqualValues(t, 20_000, n, "nothing was deleted")
}

func TestUploadFiles(t *testing.T) {
	t.Parallel()
	ws, store := setup(t, map[string]string{"there/old.png": "old"})
	dir := t.TempDir()
	for _, name := range []string{"a.png", "sub/b.png", "sub/c.txt", "old.png"} {
		workspacetest.File(t, dir, name, name)
	}
	var mu sync.Mutex
	told := 0
	d := must(t)(ws.Datasets().UploadFiles(t.Context(), dir, dataset.Path{Path: "there"}, &dataset.UploadOptions{Pattern: "**/*.png", Progress: func(datastore.Progress) {
		mu.Lock()
		defer mu.Unlock()
		told++
	}}))
	require.Positive(t, told)
	shown, err := d.FS(t.Context())
	require.NoError(t, err)
	old, err := fs.ReadFile(shown, "old.png")
	require.NoError(t, err)
	require.Equal(t, "old", string(old), "what is there stays")
	names, err := fs.Glob(shown, "*/*")
	require.NoError(t, err)
	require.Equal(t, []string{"sub/b.png"}, names)
	must(t)(ws.Datasets().UploadFiles(t.Context(), dir, dataset.Path{Path: "there/"}, &dataset.UploadOptions{Overwrite: true}))
	_, err = store.Stat(t.Context(), "there/sub/c.txt", nil)
	require.NoError(t, err)
	for _, target := range []string{"x/*", "https://example.org/x"} {
		_, err = ws.Datasets().UploadFiles(t.Context(), dir, dataset.Path{Path: target}, nil)
		require.ErrorIs(t, err, azml.ErrInvalid)
	}
	_, err = ws.Datasets().UploadFiles(t.Context(), dir, dataset.Path{}, &dataset.UploadOptions{Pattern: "["})
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = ws.Datasets().UploadFiles(t.Context(), filepath.Join(dir, "none"), dataset.Path{}, nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.True(t, strings.HasPrefix(d.Paths()[0].Path, "there/"))
}
