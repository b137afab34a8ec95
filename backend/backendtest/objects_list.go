package backendtest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
)

func listGroup() group[ObjectsHarness] {
	return group[ObjectsHarness]{"list", []check[ObjectsHarness]{
		{"every option", checkListOptions},
		{"many", checkListMany},
		{"again and stop", checkListAgain},
		{"common prefixes of deleted", checkListDeleted},
		{"replaced", checkListReplaced},
	}}
}

// listKeys holds neighbours of "/" in byte order, where sorting by file names,
// by folders first, or without regard to case goes wrong.
func listKeys() []string {
	keys := []string{"a", "a!b", "a-b", "a.b", "a/b", "a/b/c", "a/b-c", "a/b.c", "a/b0", "a//", "a0", "aB", "ab", "ab/c", "b/c/d/e", "b/c/d/f", "b/d", "B", "B/x", "_", "é", "é/x", "日", "~", "z z/1", "z/1"}
	keys = slices.DeleteFunc(keys, func(k string) bool { return backend.ValidKey(k) != nil })
	for _, next := range []string{"-", ".", "/", "0", "x"} { // a long segment that is the beginning of others
		keys = append(keys, strings.Repeat("q", 150)+next+"1")
	}
	slices.Sort(keys)
	return keys
}

func checkListOptions(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	keys := listKeys()
	for _, key := range keys {
		s.put(key, key)
	}
	prefixes := []string{"", "/", "a", "a/", "a/b", "a/b/", "a/b/c", "a/b/c/", "b/c/", "é"[:1], "é", "B", "z", "z ", "x", "a//", "../", ".", "a/b/c/d/e/f", "qq", strings.Repeat("q", 150), strings.Repeat("q", 150) + "/"}
	for _, prefix := range prefixes {
		for _, delimiter := range []string{"", "/"} {
			for _, after := range []string{"", "a", "a/", "a/a", "a/b", "a/b/", "a/c", "a0", "aB", "b/c/d", "b/c/d/e0", "é", "zz", strings.Repeat("q", 150) + "/"} {
				opts := backend.ListOptions{Prefix: prefix, Delimiter: delimiter, StartAfter: after}
				require.Equal(t, expectedKeys(keys, opts), s.keys(opts), "%+v", opts)
			}
		}
	}
	for _, info := range s.infos(backend.ListOptions{Delimiter: "/"}) {
		require.Equal(t, strings.HasSuffix(info.Key, "/"), info.IsPrefix, "%q", info.Key)
		require.Equal(t, info.IsPrefix, info.ETag == "", "%q", info.Key)
	}
}

// expectedKeys is the plainest way to say what List yields.
func expectedKeys(sorted []string, opts backend.ListOptions) []string {
	want := []string{}
	for _, key := range sorted {
		rest, ok := strings.CutPrefix(key, opts.Prefix)
		if !ok {
			continue
		}
		if i := strings.Index(rest, "/"); i >= 0 && opts.Delimiter == "/" {
			key = opts.Prefix + rest[:i+1]
		}
		if key > opts.StartAfter && !slices.Contains(want, key) {
			want = append(want, key)
		}
	}
	return want
}

// checkListMany needs more than one page of a store that gives 100 at a time.
func checkListMany(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	keys := []string{}
	for i := range 120 {
		key := fmt.Sprintf("many/%03d/x", i)
		s.put(key, "")
		keys = append(keys, key)
	}
	require.Equal(t, keys, s.keys(backend.ListOptions{}))
	require.Equal(t, keys[100:], s.keys(backend.ListOptions{StartAfter: keys[99]}))
	require.Len(t, s.keys(backend.ListOptions{Prefix: "many/", Delimiter: "/"}), len(keys))
	require.Equal(t, []string{"many/"}, s.keys(backend.ListOptions{Delimiter: "/"}))
}

func checkListAgain(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	for _, key := range []string{"a", "b", "c"} {
		s.put(key, "")
	}
	list := s.List(t.Context(), &backend.ListOptions{})
	for info, err := range list {
		require.NoError(t, err)
		require.Equal(t, "a", info.Key)
		break
	}
	require.Len(t, collect(t, list), 3)
	s.put("d", "")
	require.Len(t, collect(t, list), 4, "a list ranged again sees what was written before")
}

func checkListDeleted(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	s.put("a/b/c/d", "")
	s.put("a/x", "")
	s.delete("a/b/c/d")
	require.Equal(t, []string{"a/x"}, s.keys(backend.ListOptions{Prefix: "a/", Delimiter: "/"}))
	s.delete("a/x")
	require.Empty(t, s.keys(backend.ListOptions{Delimiter: "/"}))
}

// checkListReplaced lists while one object takes the place of another, again and again.
func checkListReplaced(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	for i := range 100 { // to take some time
		s.put(fmt.Sprintf("many/a%02d", i), "")
	}
	s.put("many/b0000", "")
	enough, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			_, err := s.Put(t.Context(), fmt.Sprintf("many/b%04d", i+1), strings.NewReader(""), &backend.PutOptions{})
			if err == nil {
				err = s.Delete(t.Context(), fmt.Sprintf("many/b%04d", i), &backend.DeleteOptions{})
			}
			if err != nil {
				done <- err
				return
			}
			select {
			case <-enough:
				done <- nil
				return
			default:
			}
		}
	}()
	const rounds = 50
	seen, among := true, true
	for range rounds {
		seen = seen && len(s.keys(backend.ListOptions{Prefix: "many/b"})) > 0
		among = among && len(s.keys(backend.ListOptions{Prefix: "many/"})) > 100
	}
	close(enough)
	require.NoError(t, <-done)
	require.True(t, seen, "of two, of which one is written before the other is deleted, none was seen")
	require.True(t, among, "of two, of which one is written before the other is deleted, none was seen among others")
}
