package snapshot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/gitignore"
)

func TestLargest(t *testing.T) {
	t.Parallel()
	kb := func(n int) string { return strings.Repeat("x", n*1000) }
	plan := scan(t, tree(t, map[string]string{
		"data/raw/big.bin": kb(95), "data/raw/small": kb(1), "nb/a": kb(20), "nb/b": kb(20), "nb/c/d": kb(10), "train.py": kb(2), "e/": "", "empty": "",
	}), nil)
	require.Equal(t, []Offender{
		{Path: "data/raw/big.bin", Size: 95000, Files: 1},
		{Path: "nb", IsDir: true, Size: 50000, Files: 3},
		{Path: "train.py", Size: 2000, Files: 1},
	}, plan.Largest(3))
	require.Len(t, plan.Largest(100), 4)
	require.Empty(t, plan.Largest(0))
}

func TestIgnoreLine(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"a", "a b/c ", "!x", "#x", "a*b", "[a]", "a?b", "a\nb", "é", "d/e/f", " "} {
		for _, isDir := range []bool{true, false} {
			line := Offender{Path: path, IsDir: isDir}.IgnoreLine()
			m := gitignore.New(gitignore.Parse("", []byte(line+"\n")))
			parts := strings.Split(path, "/")
			for _, name := range parts[:len(parts)-1] {
				m = m.Enter(name, nil)
			}
			got, _ := m.Match(parts[len(parts)-1], isDir)
			require.True(t, got, line)
			got, _ = m.Match("x"+parts[len(parts)-1], isDir)
			require.False(t, got, line)
		}
	}
}

func TestWarnsOfSize(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"data/x": "", "data/y": "", "a.py": "print()"})
	require.NoError(t, os.Truncate(filepath.Join(dir, "data/x"), 20<<20))
	require.Empty(t, scan(t, dir, nil).Warnings)
	require.NoError(t, os.Truncate(filepath.Join(dir, "data/y"), 10<<20))
	got := scan(t, dir, nil).Warnings
	require.Len(t, got, 2)
	require.Contains(t, got[0], "31.5 MB in 3 files")
	require.Contains(t, got[1], `the line "/data/" in .amlignore leaves it out`)
}
