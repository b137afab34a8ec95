package folder_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/folder"
)

func open(t *testing.T, dir string) *folder.Store {
	t.Helper()
	opened, err := folder.Driver{}.Open(t.Context(), backend.DatastoreSource{Type: folder.Type, Connection: map[string]string{folder.Path: dir}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	return opened.(*folder.Store)
}

func TestSuite(t *testing.T) {
	t.Parallel()
	backendtest.DataFiles(t, func(t *testing.T) backendtest.DataFilesHarness {
		return backendtest.DataFilesHarness{Files: open(t, t.TempDir()), Tree: true}
	})
}
