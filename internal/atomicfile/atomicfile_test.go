package atomicfile_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/atomicfile"
)

func TestWriteReplaces(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "note")
	for _, text := range []string{"first", "second, which is longer", ""} {
		require.NoError(t, atomicfile.Write(path, []byte(text), 0o640))
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, text, string(data))
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o640), info.Mode())
	requireAlone(t, path)
}

func TestCreateThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "note")
	require.NoError(t, atomicfile.Write(path, []byte("before"), 0o600))
	broken := errors.New("broken")
	err := atomicfile.Create(path, 0o600, func(f *os.File) error {
		_, err := f.WriteString("half of it")
		return errors.Join(err, broken)
	})
	require.ErrorIs(t, err, broken)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "before", string(data))
	requireAlone(t, path)
	require.Error(t, atomicfile.Write(filepath.Join(path, "below"), nil, 0o600), "below a file")
}

// TestReadersSeeWholeFiles has many write one file while it is read.
func TestReadersSeeWholeFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "note")
	text := func(n int) []byte { return []byte(strings.Repeat(fmt.Sprint(n), 10_000)) }
	require.NoError(t, atomicfile.Write(path, text(0), 0o600))
	var writers sync.WaitGroup
	for n := range 4 {
		writers.Go(func() {
			for range 50 {
				if err := atomicfile.Write(path, text(n), 0o600); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Len(t, data, 10_000)
		require.Equal(t, strings.Repeat(string(data[:1]), len(data)), string(data))
	}
	requireAlone(t, path)
}

// requireAlone checks that no draft is left beside a file.
func requireAlone(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1)
}
