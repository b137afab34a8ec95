package experiment_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/workspace"
)

// TestMaxStart: a run whose submitter has named no time to begin waits for room besides.
func TestMaxStart(t *testing.T) {
	t.Parallel()
	ws := open(t)
	e := create(t, ws.Experiments(), "e", nil)
	for named, want := range map[time.Duration]struct {
		seconds      int64
		waitsForRoom bool
	}{0: {15 * 60, true}, time.Millisecond: {1, false}, 20 * time.Minute: {20 * 60, false}} {
		r, err := e.Submit(t.Context(), experiment.ScriptRunConfig{Source: t.TempDir(), Command: []string{"true"}, MaxStart: named,
			Environment: environment.Spec{Python: environment.Python{UserManaged: true}}}, nil)
		require.NoError(t, err)
		stored, err := history.Get(t.Context(), workspace.Handle(ws), r.ID())
		require.NoError(t, err)
		require.Equal(t, want.seconds, stored.Value.Definition.MaxStart, named)
		require.Equal(t, want.waitsForRoom, stored.Value.Definition.WaitsForRoom, named)
	}
}
