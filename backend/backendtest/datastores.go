package backendtest

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// DataFilesHarness is a datastore of files under test.
type DataFilesHarness struct {
	// Files are the datastore's files, none.
	Files backend.DataFiles
	// Tree says that no path can be both a file and a folder.
	Tree bool
	// Links says that the store is a Signer, of single files.
	Links bool
	// Client follows the links; nil is http.DefaultClient.
	Client *http.Client
}

// DataFiles runs the suite for datastores that can be listed and written to. It
// calls open for every check and runs checks in parallel.
func DataFiles(t *testing.T, open func(t *testing.T) DataFilesHarness) {
	runGroups(t, dataFilesGroups(), open)
}

// DataFilesLinks runs the part of DataFiles that is about links alone.
func DataFilesLinks(t *testing.T, open func(t *testing.T) DataFilesHarness) {
	runGroups(t, []group[DataFilesHarness]{linksGroup()}, open)
}

func linksGroup() group[DataFilesHarness] {
	return group[DataFilesHarness]{"links", []check[DataFilesHarness]{{"links", checkLinks}}}
}

func dataFilesGroups() []group[DataFilesHarness] {
	return []group[DataFilesHarness]{
		{"write", []check[DataFilesHarness]{
			{"create and replace", checkFilesWrite},
			{"created once by many at once", checkFilesCreateRace},
			{"sizes", checkFilesSizes},
			{"delete", checkFilesDelete},
			{"paths", checkFilesPaths},
		}},
		{"read", []check[DataFilesHarness]{
			{"ranges", checkFilesRanges},
			{"replaced while it is read", checkFilesReplaced},
			{"not there", checkFilesMissing},
		}},
		{"list", []check[DataFilesHarness]{
			{"every option", checkFilesList},
			{"more than a page", checkFilesListMany},
		}},
		{"context", []check[DataFilesHarness]{
			{"done before", checkFilesCanceled},
		}},
		linksGroup(),
	}
}

// files are the files of a datastore with the test that uses them.
type files struct {
	t TB
	backend.DataFiles
}

func (f files) put(path, content string) backend.Info {
	f.t.Helper()
	info, err := f.Put(f.t.Context(), path, strings.NewReader(content), &backend.PutOptions{})
	require.NoError(f.t, err, "%q", path)
	return info
}

func (f files) read(path string, opts backend.GetOptions) (string, backend.Info) {
	f.t.Helper()
	object, err := f.Get(f.t.Context(), path, &opts)
	require.NoError(f.t, err, "%q %+v", path, opts)
	data, err := io.ReadAll(object.Body)
	require.NoError(f.t, err)
	require.NoError(f.t, object.Body.Close())
	return string(data), object.Info
}

func (f files) list(opts backend.ListOptions) []string {
	f.t.Helper()
	paths := []string{}
	for info, err := range f.List(f.t.Context(), &opts) {
		require.NoError(f.t, err)
		require.Equal(f.t, strings.HasSuffix(info.Key, "/"), info.IsPrefix, "%q", info.Key)
		paths = append(paths, info.Key)
	}
	return paths
}

func checkFilesWrite(t TB, h DataFilesHarness) {
	f := files{t, h.Files}
	create := &backend.PutOptions{IfNoneMatch: true}
	first, err := f.Put(t.Context(), "a/b.txt", strings.NewReader("one"), create)
	require.NoError(t, err)
	require.EqualValues(t, 3, first.Size)
	require.Equal(t, "a/b.txt", first.Key)
	_, err = f.Put(t.Context(), "a/b.txt", strings.NewReader("two"), create)
	require.ErrorIs(t, err, azml.ErrExists)
	content, info := f.read("a/b.txt", backend.GetOptions{})
	require.Equal(t, "one", content)
	require.Equal(t, first.ETag, info.ETag)
	require.False(t, info.Modified.IsZero())

	second := f.put("a/b.txt", "second")
	require.NotEqual(t, first.ETag, second.ETag)
	content, info = f.read("a/b.txt", backend.GetOptions{})
	require.Equal(t, "second", content)
	require.Equal(t, second.ETag, info.ETag)
	stat, err := f.Stat(t.Context(), "a/b.txt")
	require.NoError(t, err)
	require.Equal(t, info, stat)
}

func checkFilesCreateRace(t TB, h DataFilesHarness) {
	f := files{t, h.Files}
	const writers = 8
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			_, errs[i] = f.Put(t.Context(), "x/one", strings.NewReader(strings.Repeat(string(rune('a'+i)), 1000)), &backend.PutOptions{IfNoneMatch: true})
		})
	}
	wg.Wait()
	won := slices.IndexFunc(errs, func(err error) bool { return err == nil })
	require.GreaterOrEqual(t, won, 0, "%v", errs)
	for i, err := range errs {
		if i != won {
			require.ErrorIs(t, err, azml.ErrExists)
		}
	}
	content, _ := f.read("x/one", backend.GetOptions{})
	require.Equal(t, strings.Repeat(string(rune('a'+won)), 1000), content)
	require.Equal(t, []string{"x/one"}, f.list(backend.ListOptions{}))
}

func checkFilesSizes(t TB, h DataFilesHarness) {
	f := files{t, h.Files}
	for _, size := range []int{0, 1, 4096, 1<<20 + 1, 33 << 20} { // the last in parts, where a store has them
		content := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		t.Logf("%d bytes", size)
		require.EqualValues(t, size, f.put("f", content).Size)
		got, info := f.read("f", backend.GetOptions{})
		require.EqualValues(t, size, info.Size)
		require.True(t, got == content, "%d bytes differ", size)
		_, err := f.Put(t.Context(), "f", strings.NewReader(content+"2"), &backend.PutOptions{IfNoneMatch: true})
		require.ErrorIs(t, err, azml.ErrExists, "%d bytes", size)
		_, info = f.read("f", backend.GetOptions{Offset: int64(size)})
		require.EqualValues(t, size, info.Size)
	}
}

func checkFilesDelete(t TB, h DataFilesHarness) {
	f := files{t, h.Files}
	f.put("a/b/c", "1")
	f.put("a/d", "2")
	require.NoError(t, f.Delete(t.Context(), "a/b/c", &backend.DeleteOptions{}))
	require.ErrorIs(t, f.Delete(t.Context(), "a/b/c", &backend.DeleteOptions{}), azml.ErrNotFound)
	require.ErrorIs(t, f.Delete(t.Context(), "a", &backend.DeleteOptions{}), azml.ErrNotFound)
	require.Equal(t, []string{"a/d"}, f.list(backend.ListOptions{}))
	require.Equal(t, []string{"a/d"}, f.list(backend.ListOptions{Prefix: "a/", Delimiter: "/"}))
}

func checkFilesPaths(t TB, h DataFilesHarness) {
	f := files{t, h.Files}
	paths := []string{"plain.csv", "with space.csv", "UPPER/lower.TXT", "日本/é.csv", "a+b&c=d%20e.txt", "year=2024/part-0.parquet", "~tilde", "[x]{y}", "#hash?query", "'quote\"", "..a", "a..b"}
	for _, path := range paths {
		f.put(path, path)
	}
	for _, path := range paths {
		content, info := f.read(path, backend.GetOptions{})
		require.Equal(t, path, content)
		require.Equal(t, path, info.Key)
	}
	slices.Sort(paths)
	require.Equal(t, paths, f.list(backend.ListOptions{}))
}

func checkFilesRanges(t TB, h DataFilesHarness) {
	f := files{t, h.Files}
	const content = "0123456789"
	f.put("f", content)
	for _, offset := range []int64{0, 1, 5, 9, 10} {
		for _, length := range []int64{0, 1, 3, 10, 100} {
			want := content[offset:]
			if length > 0 {
				want = want[:min(length, int64(len(want)))]
			}
			got, info := f.read("f", backend.GetOptions{Offset: offset, Length: length})
			require.Equal(t, want, got, "%d+%d", offset, length)
			require.EqualValues(t, len(content), info.Size, "%d+%d: the size is that of the whole", offset, length)
		}
	}
	for _, offset := range []int64{11, -1} {
		_, err := f.Get(t.Context(), "f", &backend.GetOptions{Offset: offset})
		require.ErrorIs(t, err, azml.ErrInvalid)
	}
	f.put("empty", "")
	got, _ := f.read("empty", backend.GetOptions{})
	require.Empty(t, got)
}

func checkFilesReplaced(t TB, h DataFilesHarness) {
	f := files{t, h.Files}
	f.put("f", strings.Repeat("a", 1000))
	before, err := f.Get(t.Context(), "f", &backend.GetOptions{Length: 500})
	require.NoError(t, err)
	require.NoError(t, before.Body.Close())
	f.put("f", strings.Repeat("b", 1001))
	_, after := f.read("f", backend.GetOptions{Offset: 500})
	require.NotEqual(t, before.Info.ETag, after.ETag)
}

func checkFilesMissing(t TB, h DataFilesHarness) {
	f := files{t, h.Files}
	f.put("folder/file", "1")
	for _, path := range []string{"nothing", "folder", "folder/nothing", "folder/file/below", "nothing/at/all"} {
		_, err := f.Get(t.Context(), path, &backend.GetOptions{})
		require.ErrorIs(t, err, azml.ErrNotFound, "%q", path)
		_, err = f.Stat(t.Context(), path)
		require.ErrorIs(t, err, azml.ErrNotFound, "%q", path)
		require.ErrorIs(t, f.Delete(t.Context(), path, &backend.DeleteOptions{}), azml.ErrNotFound, "%q", path)
	}
}

func checkFilesList(t TB, h DataFilesHarness) {
	f := files{t, h.Files}
	keys := slices.DeleteFunc(listKeys(), func(key string) bool {
		return h.Tree && slices.ContainsFunc(listKeys(), func(k string) bool { return strings.HasPrefix(k, key+"/") }) || len(key) > 200
	})
	for _, key := range keys {
		f.put(key, key)
	}
	for _, prefix := range []string{"", "/", "a", "a/", "a/b", "a/b/", "a/b/c", "é", "b/c/", "b/d/", "B", "z", "z ", "x", "a//", "../", ".", "qq"} {
		for _, delimiter := range []string{"", "/"} {
			for _, after := range []string{"", "a", "a/", "a/b/", "a/c", "aB", "b/c/d", "é", "zz"} {
				opts := backend.ListOptions{Prefix: prefix, Delimiter: delimiter, StartAfter: after}
				require.Equal(t, expectedKeys(keys, opts), f.list(opts), "%+v", opts)
			}
		}
	}
}

func checkFilesListMany(t TB, h DataFilesHarness) {
	f := files{t, h.Files}
	const folders, inEach = 60, 20
	var all, tops []string
	var wg sync.WaitGroup
	for i := range folders {
		top := string(rune('a'+i/26)) + string(rune('a'+i%26))
		tops = append(tops, top+".txt", top+"/") // "." sorts before "/"
		for j := range inEach {
			all = append(all, top+"/"+string(rune('a'+j)))
		}
		all = append(all, top+".txt")
	}
	for part := range slices.Chunk(all, 200) {
		wg.Go(func() {
			for _, path := range part {
				f.put(path, "x")
			}
		})
	}
	wg.Wait()
	slices.Sort(all)
	require.Equal(t, all, f.list(backend.ListOptions{}))
	require.Equal(t, tops, f.list(backend.ListOptions{Delimiter: "/"}))
	for info, err := range f.List(t.Context(), &backend.ListOptions{}) {
		require.NoError(t, err)
		require.Equal(t, all[0], info.Key)
		break
	}
}

func checkFilesCanceled(t TB, h DataFilesHarness) {
	f := files{t, h.Files}
	f.put("f", "1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.Get(ctx, "f", &backend.GetOptions{})
	require.ErrorIs(t, err, context.Canceled)
	_, err = f.Stat(ctx, "f")
	require.ErrorIs(t, err, context.Canceled)
	_, err = f.Put(ctx, "g", strings.NewReader("2"), &backend.PutOptions{})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, f.Delete(ctx, "f", &backend.DeleteOptions{}), context.Canceled)
	failed := false
	for _, err := range f.List(ctx, &backend.ListOptions{}) {
		require.ErrorIs(t, err, context.Canceled)
		failed = true
	}
	require.True(t, failed)
	require.Equal(t, []string{"f"}, f.list(backend.ListOptions{}))
}
