package prefixed_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/filesecrets"
	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/backend/prefixed"
)

// withNeighbours fills the store with objects around the prefix "ws/a/", none
// of which a view of it may show.
func withNeighbours(t *testing.T, s backend.Objects) {
	t.Helper()
	for _, key := range []string{"ws/a", "ws/a-", "ws/a0", "ws/", "a", "b/c", "ws/b/x", "A", "zz"} {
		if backend.ValidKey(key) == nil {
			_, err := s.Put(t.Context(), key, strings.NewReader("neighbour"), &backend.PutOptions{})
			require.NoError(t, err)
		}
	}
}

func TestObjectsOnMemory(t *testing.T) {
	t.Parallel()
	backendtest.Objects(t, func(t *testing.T) backendtest.ObjectsHarness {
		s := memory.NewObjects()
		withNeighbours(t, s)
		return backendtest.ObjectsHarness{
			Objects:  prefixed.New(s, "ws/a/"),
			Reopen:   func() (backend.Objects, error) { return prefixed.New(s, "ws/a/"), nil },
			Features: backendtest.ObjectsFeatures{AppendToPut: true, Changes: true, MaxKeyLen: backend.MaxKeyLen - len("ws/a/")},
		}
	})
}

func TestObjectsOnLocalfs(t *testing.T) {
	t.Parallel()
	backendtest.Objects(t, func(t *testing.T) backendtest.ObjectsHarness {
		s, err := localfs.New(t.TempDir(), nil)
		require.NoError(t, err)
		t.Cleanup(func() { s.Close() })
		withNeighbours(t, s)
		return backendtest.ObjectsHarness{
			Objects:  prefixed.New(s, "ws/a/"),
			Features: backendtest.ObjectsFeatures{AppendToPut: true, Changes: true, Spool: true, MaxKeyLen: backend.MaxKeyLen - len("ws/a/")},
		}
	})
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	backendtest.Secrets(t, func(t *testing.T) backendtest.SecretsHarness {
		s := memory.NewSecrets()
		for _, name := range []string{"ws", "wsa", "ws-", "x", "A"} {
			require.NoError(t, s.Set(t.Context(), name, "neighbour"))
		}
		return backendtest.SecretsHarness{Secrets: prefixed.NewSecrets(s, "WS-"), MaxNameLen: 124}
	})
}

func TestSecretsInFiles(t *testing.T) {
	t.Parallel()
	backendtest.Secrets(t, func(t *testing.T) backendtest.SecretsHarness {
		dir := t.TempDir()
		open := func() (backend.Secrets, error) {
			s, err := filesecrets.New(filepath.Join(dir, "secrets"), &filesecrets.Options{KeyFile: filepath.Join(dir, "key")})
			return prefixed.NewSecrets(s, "ws-"), err
		}
		s, err := open()
		require.NoError(t, err)
		return backendtest.SecretsHarness{Secrets: s, Reopen: open, MaxNameLen: 124}
	})
}

func TestTooLong(t *testing.T) {
	t.Parallel()
	o := prefixed.New(memory.NewObjects(), "p/")
	_, err := o.Stat(t.Context(), strings.Repeat("k", backend.MaxKeyLen-1))
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = prefixed.NewSecrets(memory.NewSecrets(), "p").Get(t.Context(), strings.Repeat("n", 127))
	require.ErrorIs(t, err, azml.ErrInvalid)
}

func TestSpoolsApart(t *testing.T) {
	t.Parallel()
	s, err := localfs.New(t.TempDir(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	outer, err := s.SpoolDir()
	require.NoError(t, err)
	dirs := map[string]bool{outer: true}
	for _, prefix := range []string{"a/", "A/", "a", strings.Repeat("x", 300)} {
		spooler, ok := backend.As[backend.Spooler](prefixed.New(s, prefix))
		require.True(t, ok)
		dir, err := spooler.SpoolDir()
		require.NoError(t, err)
		require.False(t, dirs[dir], "prefix %q shares a spool", prefix)
		require.Equal(t, outer, filepath.Dir(dir))
		dirs[dir] = true
	}
}
