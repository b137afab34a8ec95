package backendtest

import (
	"os"
	"path/filepath"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
)

func abilitiesGroup() group[ObjectsHarness] {
	return group[ObjectsHarness]{"abilities", []check[ObjectsHarness]{{"spool", checkSpool}}}
}

func checkSpool(t TB, h ObjectsHarness) {
	spooler, ok := backend.As[backend.Spooler](h.Objects)
	require.Equal(t, h.Features.Spool, ok, "whether there is a Spooler")
	if !ok {
		return
	}
	s := store{t, h.Objects}
	s.put("a", "1")
	dir, err := spooler.SpoolDir()
	require.NoError(t, err)
	again, err := spooler.SpoolDir()
	require.NoError(t, err)
	require.Equal(t, dir, again)
	require.True(t, filepath.IsAbs(dir), "%q", dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "wal"), []byte("x"), 0o600))
	require.Equal(t, []string{"a"}, s.keys(backend.ListOptions{}), "the spool is no part of the keys")
	s.delete("a")
	require.FileExists(t, filepath.Join(dir, "wal"))
}
