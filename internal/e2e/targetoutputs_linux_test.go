package e2e

import (
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTargetManyOutputs has a script write many small files.
func TestTargetManyOutputs(t *testing.T) {
	t.Parallel()
	files := size(100_000, 300)
	onEachHere(t, func(t *testing.T, on target) {
		ws, _, s := onSite(t, on)
		r := on.begin(t, ws, fmt.Sprintf("for i in $(seq %d); do echo $i > outputs/$i; done", files), nil)
		require.NoError(t, r.Wait(t.Context(), nil))
		list, err := r.Files(t.Context(), "outputs")
		require.NoError(t, err)
		require.Len(t, list, files)
		last, err := r.Open(t.Context(), fmt.Sprintf("outputs/%d", files))
		require.NoError(t, err)
		defer last.Close()
		data, err := io.ReadAll(last)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintln(files), string(data))
		for _, one := range recordOf(t, ws, r).History {
			t.Log(one)
		}
		s.requireNothing(t, r)
	})
}
