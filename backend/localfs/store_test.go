package localfs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/localfs"
)

// open opens a store that is closed with the test.
func open(t testing.TB, dir string) *localfs.Store {
	t.Helper()
	s, err := localfs.New(dir, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func harness(t *testing.T) backendtest.ObjectsHarness {
	dir := t.TempDir()
	return backendtest.ObjectsHarness{
		Objects:  open(t, dir),
		Reopen:   func() (backend.Objects, error) { return open(t, dir), nil },
		Features: backendtest.ObjectsFeatures{AppendToPut: true, Changes: true, Spool: true},
	}
}

func TestObjects(t *testing.T) {
	t.Parallel()
	backendtest.Objects(t, harness)
}
