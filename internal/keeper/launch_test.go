package keeper

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/process"
)

// TestProgramsThatAreWrittenTo while they are installed: nothing is there afterwards that
// would be taken for them.
func TestProgramsThatAreWrittenTo(t *testing.T) {
	t.Parallel()
	content := []byte("#!/bin/sh\nexit 0\n")
	f, err := os.Create(filepath.Join(t.TempDir(), "azml"))
	require.NoError(t, err)
	defer f.Close()
	_, err = f.Write(content[1:])
	require.NoError(t, err)
	target, err := process.New(t.TempDir(), nil)
	require.NoError(t, err)
	defer target.Close()
	_, err = target.Install(t.Context(), "azml-1", programFile{f, int64(len(content))})
	require.ErrorIs(t, err, azml.ErrConflict)
	require.ErrorContains(t, err, f.Name())

	_, err = f.WriteAt(content, 0)
	require.NoError(t, err)
	path, err := target.Install(t.Context(), "azml-1", programFile{f, int64(len(content))})
	require.NoError(t, err)
	installed, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, content, installed)
}
