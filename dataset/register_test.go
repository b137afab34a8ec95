package dataset_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/datastore"
)

func TestRegister(t *testing.T) {
	t.Parallel()
	ws, store := setup(t, map[string]string{"a.csv": people})
	c := ws.Datasets()
	d := must(t)(c.FromDelimitedFiles(t.Context(), at("a.csv"), nil))
	first := must(t)(d.Register(t.Context(), "people", &dataset.RegisterOptions{Description: "all", Tags: map[string]string{"team": "x"}}))
	require.Equal(t, 1, first.Version())
	require.Equal(t, d.ID(), first.ID())

	_, err := must(t)(d.Take(1)).Register(t.Context(), "people", nil)
	require.ErrorIs(t, err, azml.ErrExists)
	require.ErrorContains(t, err, "ask for a new version (CreateNewVersion, --new-version)")
	_, err = d.Register(t.Context(), "people", &dataset.RegisterOptions{CreateNewVersion: true})
	require.ErrorIs(t, err, azml.ErrExists)
	require.ErrorContains(t, err, "registered as people:1")
	_, err = d.Register(t.Context(), "others", nil)
	require.ErrorContains(t, err, "registered as people:1")
	for range c.List(t.Context(), &dataset.ListOptions{Name: "others"}) {
		t.Fatal("something was half registered")
	}

	second := must(t)(must(t)(d.Take(1)).Register(t.Context(), "people", &dataset.RegisterOptions{CreateNewVersion: true}))
	require.Equal(t, 2, second.Version())
	put(t, store, "a.csv", people+"9,Zoe,1,\n") // the same definition of other data
	third := must(t)(d.Register(t.Context(), "people", &dataset.RegisterOptions{CreateNewVersion: true}))
	require.Equal(t, 3, third.Version())
	require.NotEqual(t, first.FingerprintDigest(), third.FingerprintDigest())

	var ids []string
	for _, one := range all(t, c.List(t.Context(), nil)) {
		ids = append(ids, fmt.Sprintf("%s:%d", one.Name(), one.Version()))
	}
	require.Equal(t, []string{"people:3", "people:2", "people:1"}, ids)
	require.Len(t, all(t, c.List(t.Context(), &dataset.ListOptions{Latest: true})), 1)
	require.Len(t, all(t, c.List(t.Context(), &dataset.ListOptions{Tags: map[string]string{"team": "x"}})), 1)
	page, next, err := c.ListPage(t.Context(), "", 2, nil)
	require.NoError(t, err)
	require.Len(t, page, 2)
	page, next, err = c.ListPage(t.Context(), next, 2, nil)
	require.NoError(t, err)
	require.Len(t, page, 1)
	require.Empty(t, next)
	require.Len(t, all(t, c.Search(t.Context(), "name = 'people' and tags.team = 'x'", nil)), 1)
	require.Len(t, all(t, c.Search(t.Context(), "type = 'Tabular' and version > 1", nil)), 2)

	require.Equal(t, ints(1), column(t, must(t)(c.Get(t.Context(), "people", 2, nil)), "id"))
	require.Equal(t, 3, must(t)(c.Get(t.Context(), "people", dataset.Latest, nil)).Version())
	require.Equal(t, 2, must(t)(c.GetByID(t.Context(), "people:2", nil)).Version())
	require.Zero(t, must(t)(c.GetByID(t.Context(), d.ID(), nil)).Version())

	changed := must(t)(second.Update(t.Context(), dataset.Update{Description: new("one"), AddTags: map[string]string{"a": "b"}}))
	require.Equal(t, "one", changed.Details().Description)
	_, err = changed.Update(t.Context(), dataset.Update{AddTags: map[string]string{"a": "c"}})
	require.ErrorIs(t, err, azml.ErrConflict)
	require.Empty(t, must(t)(changed.Update(t.Context(), dataset.Update{RemoveTags: []string{"a"}})).Details().Tags)

	require.NoError(t, c.Unregister(t.Context(), "people", 3, nil))
	require.Equal(t, 2, must(t)(c.Get(t.Context(), "people", dataset.Latest, nil)).Version())
	require.NoError(t, c.Unregister(t.Context(), "people", dataset.Latest, nil))
	_, err = c.Get(t.Context(), "people", dataset.Latest, nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.ErrorIs(t, c.Unregister(t.Context(), "people", dataset.Latest, nil), azml.ErrNotFound)
	require.Empty(t, all(t, c.Search(t.Context(), "", nil)))
	require.Equal(t, 4, must(t)(d.Register(t.Context(), "people", nil)).Version(), "numbers are never given again")

	report, err := ws.Fsck(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, report.Problems)
}

// TestRegisterAtOnce registers one definition under many names: one name gets it.
func TestRegisterAtOnce(t *testing.T) {
	t.Parallel()
	ws, _ := setup(t, map[string]string{"a.csv": people})
	d := must(t)(ws.Datasets().FromDelimitedFiles(t.Context(), at("a.csv"), nil))
	var running sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		running.Go(func() { _, errs[i] = d.Register(t.Context(), fmt.Sprintf("name%d", i), nil) })
	}
	running.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		} else {
			require.ErrorIs(t, err, azml.ErrExists)
		}
	}
	require.Equal(t, 1, made)
	require.Len(t, all(t, ws.Datasets().List(t.Context(), nil)), 1)
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, digests := range map[string]bool{"marks": false, "digests": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws, store := setup(t, map[string]string{"d/a": "1", "d/b": "2", "d/sub/c": "3"})
			d := must(t)(must(t)(ws.Datasets().FromFiles(t.Context(), at("d"), nil)).Register(t.Context(), "files", &dataset.RegisterOptions{Digests: digests}))
			changes, err := d.Check(t.Context(), nil)
			require.NoError(t, err)
			require.True(t, changes.None())
			require.EqualValues(t, 3, changes.Files)
			put(t, store, "d/b", "x")
			put(t, store, "d/e", "new")
			require.NoError(t, store.Delete(t.Context(), "d/sub/c", nil))
			changes, err = d.Check(t.Context(), nil)
			require.NoError(t, err)
			require.Equal(t, []dataset.Change{{Kind: "changed", Path: "workspaceblobstore/d/b"}, {Kind: "added", Path: "workspaceblobstore/d/e"}, {Kind: "removed", Path: "workspaceblobstore/d/sub/c"}}, changes.First)
			put(t, store, "d/b", "2") // the same bytes at another time
			changes, err = d.Check(t.Context(), nil)
			require.NoError(t, err)
			require.EqualValues(t, map[bool]int64{true: 0, false: 1}[digests], changes.Changed)
		})
	}
	ws, _ := setup(t, map[string]string{"a": "1"})
	_, err := must(t)(ws.Datasets().FromFiles(t.Context(), at("a"), nil)).Check(t.Context(), nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
}

func TestFiles(t *testing.T) {
	t.Parallel()
	ws, store := setup(t, map[string]string{"img/cats/1.png": "cat", "img/cats/2.png": "cat2", "img/dogs/1.jpg": "dog", "img/readme": "x"})
	c := ws.Datasets()
	d := must(t)(c.FromFiles(t.Context(), at("img/**/*.png", "img/dogs"), nil))
	shown, err := d.FS(t.Context())
	require.NoError(t, err)
	require.NoError(t, fstest.TestFS(shown, "cats/1.png", "cats/2.png", "dogs/1.jpg"))
	f, err := shown.Open("cats/2.png")
	require.NoError(t, err)
	b := make([]byte, 2)
	_, err = f.(io.ReaderAt).ReadAt(b, 2)
	require.NoError(t, err)
	require.Equal(t, "t2", string(b))
	require.NoError(t, f.Close())

	dir := t.TempDir()
	paths, err := d.Download(t.Context(), dir, nil)
	require.NoError(t, err)
	require.Len(t, paths, 3)
	data, err := os.ReadFile(filepath.Join(dir, "dogs", "1.jpg"))
	require.NoError(t, err)
	require.Equal(t, "dog", string(data))
	_, err = d.Download(t.Context(), dir, nil)
	require.ErrorIs(t, err, azml.ErrExists)
	done := int64(0)
	var mu sync.Mutex
	_, err = d.Download(t.Context(), dir, &dataset.DownloadOptions{Overwrite: true, Progress: func(n, total int64) {
		mu.Lock()
		defer mu.Unlock()
		require.EqualValues(t, 10, total)
		done = max(done, n)
	}})
	require.NoError(t, err)
	require.EqualValues(t, 10, done)
	left, err := fs.Glob(os.DirFS(dir), "*/.azml-*")
	require.NoError(t, err)
	require.Empty(t, left)

	files, err := must(t)(must(t)(d.Skip(1)).Take(1)).Files(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, "cats/2.png", files[0].Path)
	changed, err := d.DataChangedTime(t.Context())
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), changed, time.Hour)

	_, err = c.FromFiles(t.Context(), at("none/*"), nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	_, err = c.FromFiles(t.Context(), at("../x"), nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = c.FromFiles(t.Context(), nil, nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = c.FromFiles(t.Context(), []dataset.Path{{Datastore: "nowhere", Path: "x"}}, nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	later := must(t)(c.FromFiles(t.Context(), at("later"), &dataset.FilesOptions{SkipValidation: true}))
	put(t, store, "later", "now")
	n, err := later.Count(t.Context(), nil)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	for _, err := range d.Batches(t.Context(), nil) {
		require.ErrorIs(t, err, azml.ErrInvalid)
	}
	_, err = d.KeepColumns("x")
	require.ErrorContains(t, err, "it is a dataset of type File, not Tabular")
}

func TestParsePath(t *testing.T) {
	t.Parallel()
	p, err := dataset.ParsePath("azureml://datastores/raw/paths/a/*.csv")
	require.NoError(t, err)
	require.Equal(t, dataset.Path{Datastore: "raw", Path: "a/*.csv"}, p)
	require.Equal(t, "azureml://datastores/raw/paths/a/*.csv", p.String())
	p, err = dataset.ParsePath("a/b")
	require.NoError(t, err)
	require.Equal(t, dataset.Path{Path: "a/b"}, p)
	p, err = dataset.ParsePath("https://example.org/a%20b/c.csv")
	require.NoError(t, err)
	require.Equal(t, dataset.Path{Datastore: "https://example.org", Path: "a b/c.csv"}, p)
	require.Equal(t, "https://example.org/a%20b/c.csv", p.String())
	_, err = dataset.ParsePath("s3://bucket/a.csv")
	require.ErrorIs(t, err, azml.ErrInvalid)
}

type sale struct {
	Shop string    `parquet:"shop,dict"`
	When time.Time `parquet:"when,timestamp(microsecond)"`
	Sum  float64   `parquet:"sum"`
}

func TestWrite(t *testing.T) {
	t.Parallel()
	ws, _ := setup(t, nil)
	rows := func(yield func(sale, error) bool) {
		for i := range 3000 {
			if !yield(sale{fmt.Sprint("shop ", i%3), time.UnixMilli(int64(i)).UTC(), float64(i) / 2}, nil) {
				return
			}
		}
	}
	d, err := dataset.Write(t.Context(), ws.Datasets(), "sales", dataset.Path{Path: "sales"}, rows, &dataset.RegisterOptions{Tags: map[string]string{"a": "b"}})
	require.NoError(t, err)
	require.Equal(t, 1, d.Version())
	got := all(t, dataset.Rows[sale](t.Context(), d, nil))
	require.Len(t, got, 3000)
	require.Equal(t, sale{"shop 1", time.UnixMilli(1).UTC(), 0.5}, got[1])

	broken := func(yield func(sale, error) bool) { yield(sale{}, io.ErrUnexpectedEOF) }
	_, err = dataset.Write(t.Context(), ws.Datasets(), "broken", dataset.Path{}, broken, nil)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = ws.Datasets().Get(t.Context(), "broken", 1, nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	_, err = dataset.Write(t.Context(), ws.Datasets(), "sales", dataset.Path{}, rows, nil)
	require.ErrorIs(t, err, azml.ErrExists)
}

// TestReferencesOnly registers a dataset and looks that no data is copied, and
// that garbage collection leaves what it needs.
func TestReferencesOnly(t *testing.T) {
	t.Parallel()
	ws, store := setup(t, nil)
	const size = 4 << 20
	_, err := store.Write(t.Context(), "big.csv", bytes.NewReader([]byte("a\n"+strings.Repeat("1\n", size/2))), &datastore.WriteOptions{})
	require.NoError(t, err)
	d := must(t)(must(t)(ws.Datasets().FromDelimitedFiles(t.Context(), at("big.csv"), nil)).Register(t.Context(), "big", nil))
	var stored int64
	root := ws.Details().Location
	require.NoError(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasPrefix(path, filepath.Join(root, "Datastore")) {
			return err
		}
		info, err := e.Info()
		stored += info.Size()
		return err
	}))
	require.Less(t, stored, int64(200<<10))
	put(t, store, "big.csv", "a\n1\n")
	for range 2 {
		_, err := ws.GC(t.Context(), nil)
		require.NoError(t, err)
	}
	changes, err := d.Check(t.Context(), nil)
	require.NoError(t, err)
	require.EqualValues(t, 1, changes.Changed)
}
