package azureblob

import (
	"cmp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for key, name := range map[string]string{
		"runs/a-1/run.json": "runs/a-1/run.json",
		"a%2fb?c#d":         "a%2fb?c#d",
		"a b":               "a!Vb",
		"!":                 "!W",
		"\x01":              "!0",
		`a\b[]`:             "a[0b[-]",
		"~":                 "~-",
		"\x7f":              "~0",
		"é":                 "~2d",
		"日本":                "~aM_~aRg",
		"😀":                 "~kUN-",
		"a.":                "a.!",
		"a./b":              "a..~~/b",
		"a../b..":           "a...~~/b..!",
		".a/..b":            ".a/..b",
		"\ufeff":            "~jvz",
	} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			got := spell(key, true)
			require.NoError(t, checkName(got, key))
			back, ok := keyOf(got)
			require.True(t, ok)
			require.Equal(t, key, back)
			require.Equal(t, name, got)
		})
	}
}

func TestNamesOfNoKey(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "a b", "é", "a.", "a./b", `a\b`, "a/", "a//b", "./a", "!", "!x!", "!~", "[1", "~", "~x", "~2", "~2~", "!V/", "a.!b/", "..~~"} {
		key, ok := keyOf(name)
		require.False(t, ok && !strings.HasSuffix(key, "/"), "%q is taken for the name of %q", name, key)
	}
}

func TestContainerNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"abc", "a-b", "0-1-2", strings.Repeat("a", 63), "$root", "$web", "$logs"} {
		require.NoError(t, CheckContainer(name), name)
	}
	for _, name := range []string{"", "ab", strings.Repeat("a", 64), "a-" + strings.Repeat("b-", 31) + "c", "-ab", "ab-", "a--b", "Abc", "a_b", "a.b", "äbc", "$other", "a/b"} {
		require.ErrorIs(t, CheckContainer(name), azml.ErrInvalid, name)
	}
}

func TestLongNames(t *testing.T) {
	t.Parallel()
	for key, ok := range map[string]bool{
		strings.Repeat("k", 1024):        true,
		strings.Repeat(" ", 512):         true,
		strings.Repeat(" ", 513):         false,
		strings.Repeat("é", 341):         true,
		strings.Repeat("é", 342):         false,
		strings.Repeat("a/", 253) + "a":  true,
		strings.Repeat("a/", 254) + "a":  false,
		strings.Repeat("a./", 170) + "a": true,
	} {
		err := checkName(spell(key, true), key)
		if ok {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, azml.ErrInvalid)
		}
	}
}

// FuzzNames looks that names sort as their keys do, that they begin as the
// prefixes of their keys do, that they are ASCII, and that each gives its key.
func FuzzNames(f *testing.F) {
	for _, seed := range [][2]string{{"a.", "a./b"}, {"a.\x01", "a./b"}, {"a../b", "a..c"}, {"a..~~", "a./b"}, {"é", "e\u0301"}, {"😀", "\ufeff"}, {"[", `\`}, {"~", "\x7f"}, {" ", "!"}, {"a.!", "a."}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if backend.ValidKey(a) != nil || backend.ValidKey(b) != nil {
			t.Skip("no keys") // no seed is one of these
		}
		name := spell(a, true)
		require.Equal(t, cmp.Compare(a, b), cmp.Compare(name, spell(b, true)), "%q and %q", name, spell(b, true))
		require.LessOrEqual(t, len(name), 2*len(a))
		for i := range len(name) {
			require.True(t, ' ' < name[i] && name[i] < 0x7f && name[i] != '\\')
		}
		key, ok := keyOf(name)
		require.True(t, ok)
		require.Equal(t, a, key)
		for i := range len(a) + 1 {
			require.True(t, strings.HasPrefix(name, spell(a[:i], false)), "%q does not begin with %q", name, spell(a[:i], false))
		}
		if b <= a {
			require.LessOrEqual(t, spell(b, false), name)
		}
	})
}

// FuzzForeignNames gives any name to what reads names.
func FuzzForeignNames(f *testing.F) {
	for _, seed := range []string{"a", "!", "~2d", "..~~/", ".!", "~zzzz", "[0", "a b", "é"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if key, ok := keyOf(name); ok {
			require.Equal(t, name, spell(key, true))
		}
	})
}
