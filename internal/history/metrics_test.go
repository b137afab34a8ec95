package history

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// TestRecoveryPassesDamageOver has a run with a damaged record of sealing before one
// that is sound: both have a writer that died with points in the spool.
func TestRecoveryPassesDamageOver(t *testing.T) {
	t.Parallel()
	objects := memory.NewObjects()
	h := setup(t, objects)
	a := create(t, h, "a").Value
	bad, good := leftBehind(t, h, a), leftBehind(t, h, create(t, h, "b").Value)
	_, err := objects.Append(t.Context(), SealedKey(a), 0, []byte("{}"))
	require.NoError(t, err)
	log, err := Metrics(h, a)
	require.NoError(t, err)
	_, err = log.Recover(t.Context())
	require.ErrorIs(t, err, azml.ErrDamaged)

	require.NoError(t, RecoverMetrics(t.Context(), h))
	require.FileExists(t, bad)
	require.NoFileExists(t, good)
}

func TestSweepOfSealings(t *testing.T) {
	t.Parallel()
	h := setup(t, memory.NewObjects())
	require.NoError(t, SweepSealing(h), "there is nothing")
	spool, err := h.SpoolDir()
	require.NoError(t, err)
	left := filepath.Join(spool, sealing, "azml-seal-1")
	require.NoError(t, os.MkdirAll(filepath.Dir(left), 0o700))
	require.NoError(t, os.WriteFile(left, nil, 0o600))
	require.NoError(t, SweepSealing(h))
	require.NoFileExists(t, left)
}

// leftBehind logs to a run as a writer that has died: it has points in the store
// and the same in a spool file, whose path is given.
func leftBehind(t *testing.T, h core.Handle, run record.Run) string {
	t.Helper()
	log, err := Metrics(h, run)
	require.NoError(t, err)
	w, err := log.NewWriter()
	require.NoError(t, err)
	require.NoError(t, w.Log("x", 1, 0, h.Now()))
	spool, err := h.SpoolDir()
	require.NoError(t, err)
	found, err := filepath.Glob(filepath.Join(spool, "metrics", spoolName(run), "*.spool"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	data, err := os.ReadFile(found[0])
	require.NoError(t, err)
	require.NoError(t, w.Close(context.Background()))
	require.NoError(t, os.MkdirAll(filepath.Dir(found[0]), 0o700))
	require.NoError(t, os.WriteFile(found[0], data, 0o600))
	return found[0]
}
