package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/experiment"
)

// TestLimitsOfRuns has a script look at what it may use. Where a target can't hold a
// run to that, nothing is begun.
func TestLimitsOfRuns(t *testing.T) {
	t.Parallel()
	limits := backend.Limits{CPUs: 0.5, Memory: 512 << 20, SharedMemory: 3 << 20}
	set := func(c *experiment.ScriptRunConfig) { c.Limits = limits }
	onEach(t, func(t *testing.T, on target) {
		ws, _, s := onSite(t, on)
		if s.engine == "" && !on.elsewhere {
			_, err := on.submit(t, ws, "true", set)
			require.ErrorIs(t, err, azml.ErrUnsupported)
			for r, err := range ws.Runs().List(t.Context(), nil) {
				require.Fail(t, "a run is left", "%v %v", r, err)
			}
			return
		}
		r := on.begin(t, ws, `cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes
df -k --output=size /dev/shm | tail -1 | tr -d ' '`, set)
		require.NoError(t, r.Wait(t.Context(), nil))
		require.Equal(t, "536870912\n3072\n", outputOf(t, r))
		require.Equal(t, limits, r.Details().Limits)
		if on.elsewhere {
			return // GPUs that no node has are waited for
		}
		_, err := on.submit(t, ws, "true", func(c *experiment.ScriptRunConfig) { c.Limits.GPUs = 1 << 20 })
		require.ErrorIs(t, err, azml.ErrUnsupported)
		require.ErrorContains(t, err, "device driver")
	})
}
