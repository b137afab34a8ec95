package testenv_test

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/testenv"
)

func TestRoom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, testenv.Room(dir, 1))
	require.ErrorContains(t, testenv.Room(dir, math.MaxUint64), "the disk of "+dir)
	require.Error(t, testenv.Room(filepath.Join(dir, "none"), 1))
}
