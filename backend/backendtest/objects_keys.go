package backendtest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

func keysGroup() group[ObjectsHarness] {
	return group[ObjectsHarness]{"keys", []check[ObjectsHarness]{
		{"round trip", checkKeysRoundTrip},
		{"object beside prefix", checkObjectBesidePrefix},
		{"greatest length", checkLongKeys},
		{"not there", checkNotThere},
	}}
}

// oddKeys are legal keys that some store is known to get wrong, in pairs and
// threes that must stay apart.
func oddKeys() []string {
	return []string{
		"a", "A", "aB", "Ab", "ab", "AB", // case
		" a", "a ", "a  ", "a.", "a..", "...", ".a", "-a", "~", "a~1", // edges
		"é", "e\u0301", "É", "ß", "SS", "ss", "ſ", "k", "K", "\u212a", "İ", "i", "日本語", "😀", "\u200b", "\ufeff", // unicode
		"a%2fb", "a%2Fb", "%", "%%", "%u1", "a%u1", "a%", "a%+", "a+b", "a b", "a%20b", "%00", // escapes of others
		"con", "CON", "con.txt", "nul", "aux.json", "com1", "lpt9.x", "prn ", // devices of Windows
		`a\b`, `\`, "a:b", "a*b", "a?b", `a"b`, "a<b", "a>b", "a|b", "a#b", "a&b", "$a", "a;b", "a'b", "`", // forbidden somewhere
		"a\tb", "a\nb", "\x01", "\x7f", "\u0085", // controls
		"x/a", "X/a", "x /a", "x./a", "x.y/a", "x.Y/a", "con/a", ".x/a", "é/a", ".localfs/tmp/a", ".git/config", "tmp/a", "locks/00",
		strings.Repeat("l", 100), strings.Repeat("l", 101), strings.Repeat("l", 256), strings.Repeat("L", 256),
		strings.Repeat("l", 300) + "/a", strings.Repeat("日", 100), strings.Repeat("日", 100) + "/" + strings.Repeat("本", 100),
	}
}

func checkKeysRoundTrip(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	keys := oddKeys()
	for _, key := range keys {
		require.NoError(t, backend.ValidKey(key))
		info, err := s.Put(t.Context(), key, strings.NewReader("data of "+key), &backend.PutOptions{IfNoneMatch: true})
		require.NoError(t, err, "create %q", key)
		require.Equal(t, key, info.Key)
	}
	for _, key := range keys {
		require.Equal(t, "data of "+key, s.get(key))
		require.Equal(t, key, s.stat(key).Key)
	}
	slices.Sort(keys)
	require.Equal(t, keys, s.keys(backend.ListOptions{}))
	for i, key := range keys {
		s.delete(key)
		if i%10 == 0 {
			require.Equal(t, keys[i+1:], s.keys(backend.ListOptions{}))
		}
	}
	require.Empty(t, s.keys(backend.ListOptions{}))
}

func checkObjectBesidePrefix(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	keys := []string{"a", "a/b", "a/b/c", "a.x", "a.x/b", "B", "B/c", "p/q/r", "p/q", "p"}
	for _, key := range keys {
		s.put(key, "data of "+key)
	}
	for _, key := range keys {
		require.Equal(t, "data of "+key, s.get(key))
	}
	s.delete("a/b/c")
	s.delete("a")
	s.delete("a.x/b")
	require.Equal(t, []string{"B", "B/c", "a.x", "a/b", "p", "p/q", "p/q/r"}, s.keys(backend.ListOptions{}))
	s.append("a", 0, "again")
	require.Equal(t, "again", s.get("a"))
}

func checkLongKeys(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	size := cmp.Or(h.Features.MaxKeyLen, backend.MaxKeyLen)
	for _, unit := range []string{"k", "kkkkkkkkkkkkkkk/", "é", "K."} {
		key := strings.Repeat(unit, size)[:size-2] + "kk"
		if !utf8.ValidString(key) {
			key = strings.Repeat(unit, size)[:size-3] + "kkk"
		}
		info := s.put(key, "long")
		require.Equal(t, "long", s.get(key))
		requireInfo(t, info, s.infos(backend.ListOptions{})[0])
		s.delete(key)
	}
	require.Empty(t, s.keys(backend.ListOptions{}))
}

func checkNotThere(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	s.put("here/a.json", "x")
	ctx := t.Context()
	for _, key := range []string{"missing", "here", "here/a", "here/a.json/b", "here/A.json", "miss/ing", "HERE/a.json"} {
		for name, call := range map[string]func(context.Context) error{
			"Get":  func(ctx context.Context) error { _, err := s.Get(ctx, key, &backend.GetOptions{}); return err },
			"Stat": func(ctx context.Context) error { _, err := s.Stat(ctx, key); return err },
		} {
			require.ErrorIs(t, call(ctx), azml.ErrNotFound, "%s of %q", name, key)
		}
		requireGone(t, s.Delete(ctx, key, &backend.DeleteOptions{}), h.Features.Retried)
	}
	require.Equal(t, []string{"here/a.json"}, s.keys(backend.ListOptions{}))
}
