//go:build linux

package agent

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// awaits is an agent whose run has begun, and whose store does not answer when it is asked
// for the run's record, or given it, the next few times.
func awaits(t *testing.T) *drive {
	t.Helper()
	store := memory.NewObjects()
	d, other := member(t, store, 0, "", 0), member(t, store, 1, "", 0)
	begin(t, 0, "exit", d, other)
	require.NoError(t, d.enter(t.Context(), record.Running, ""))
	t.Cleanup(func() { require.NoError(t, d.metrics.Close(context.Background())) })
	refuse, _ := backend.As[*refusing](d.h.Objects())
	refuse.log, refuse.class = "run.json", azml.ErrUnavailable
	refuse.times.Store(3)
	return d
}

// TestStepWaitsForTheStore has the store be away when a script has ended well: the run goes
// on when it is back.
func TestStepWaitsForTheStore(t *testing.T) {
	t.Parallel()
	d := awaits(t)
	require.NoError(t, d.enter(t.Context(), record.Finalizing, ""))
	require.Equal(t, record.Finalizing, d.status)
	stored, err := history.Get(t.Context(), d.h, d.run.ID)
	require.NoError(t, err)
	require.Empty(t, stored.Value.WaitsFor)
}

// TestLineWaitsForTheStore has the store be away when a script logs a parameter.
func TestLineWaitsForTheStore(t *testing.T) {
	t.Parallel()
	d := awaits(t)
	r := &rank{metrics: &lineReader{path: d.metricsFile(0)}, points: d.metrics}
	require.NoError(t, os.WriteFile(r.metrics.path, []byte(`{"param": "rate", "value": 0.1}`+"\n"), 0o600))
	ended, stop := context.WithCancel(t.Context())
	stop()
	d.followMetrics(ended, r)
	require.Empty(t, d.warnings)
	stored, err := history.Get(t.Context(), d.h, d.run.ID)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"rate": "0.1"}, stored.Value.Params)
}

// TestFolderOfARunThatCanNotBeEnded has the store refuse the run's last status, as when a
// credential has expired: what the script has made stays for whoever ends the run.
func TestFolderOfARunThatCanNotBeEnded(t *testing.T) {
	t.Parallel()
	d := awaits(t)
	made := filepath.Join(d.codeDir(), "outputs", "model")
	require.NoError(t, os.MkdirAll(filepath.Dir(made), 0o700))
	require.NoError(t, os.WriteFile(made, []byte("weights"), 0o600))
	refuse, _ := backend.As[*refusing](d.h.Objects())
	refuse.class = azml.ErrDenied
	refuse.times.Store(math.MaxInt64)
	err := d.finish(t.Context(), nil)
	require.ErrorIs(t, err, azml.ErrDenied)
	require.ErrorContains(t, err, "stays in "+d.dir)
	require.FileExists(t, made)
	refuse.times.Store(0)
	require.NoError(t, d.finish(t.Context(), nil))
	require.NoDirExists(t, d.dir)
}
