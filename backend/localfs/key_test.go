package localfs

import (
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
)

func TestObjectPath(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"runs/churn_1700000000_ab12cd34/run.json": "runs/churn_1700000000_ab12cd34/run.json",
		"Churn.json":             "Churn.json%u1",
		"abcdE.json":             "abcdE.json%u01",
		"a":                      "a%",
		"a/b":                    "a/b%",
		"a.b/c.d":                "a.b%/c.d",
		"A/b.c":                  "A%u1/b.c",
		"é.json":                 "%c3%a9.json",
		".localfs/tmp/x.y":       "%2elocalfs/tmp/x.y",
		"con.txt":                "%63on.txt",
		"a. ":                    "a.%20",
		"100%":                   "100%25%",
		"a~1.x":                  "a%7e1.x",
		strings.Repeat("l", 101): strings.Repeat("l", 100) + "%+/l%",
	} {
		require.Equal(t, want, objectPath(key), key)
	}
}

// entryOf reads a path back as a listing does.
func entryOf(t testing.TB, filePath string) string {
	key, segment := "", ""
	names := strings.Split(filePath, "/")
	for i, name := range names {
		raw, isPart := decodeName(name)
		segment += raw
		if isPart {
			continue
		}
		key += segment
		if segment = ""; i < len(names)-1 {
			key += "/"
		}
	}
	return key
}

// FuzzKey checks that two keys have two paths, also where case is ignored,
// that each path leads back to its key, and that every file system takes it.
func FuzzKey(f *testing.F) {
	f.Add("runs/a_1/run.json", "runs/A_1/run.json")
	f.Add("a", "a/b")
	f.Add("CON", "con.")
	f.Add(strings.Repeat("é", 300), strings.Repeat("É", 300))
	f.Add("a%u1", "A")
	f.Fuzz(func(t *testing.T, a, b string) {
		if backend.ValidKey(a) != nil || backend.ValidKey(b) != nil {
			t.Skip("not a legal key")
		}
		pa, pb := objectPath(a), objectPath(b)
		require.Equal(t, a, entryOf(t, pa))
		require.Equal(t, a == b, strings.EqualFold(pa, pb), "%q and %q", pa, pb)
		for dir := path.Dir(pb); dir != "."; dir = path.Dir(dir) {
			require.False(t, strings.EqualFold(pa, dir), "file %q is a folder of %q", pa, pb)
		}
		for name := range strings.SplitSeq(pa, "/") {
			require.LessOrEqual(t, len(name), 143)
			require.NotContains(t, []string{"", ".", ".."}, name)
			require.False(t, reserved(name), name)
			require.NotContains(t, " .", name[:1])
			require.NotContains(t, " .", name[len(name)-1:])
			for _, c := range []byte(name) {
				require.True(t, c == '%' || plain(c), "%q", name)
			}
		}
	})
}
