package e2e

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/workspace"
)

// TestTargetManyOutputs has a script write 100,000 files on each kind of target, one
// after another, in memory: what is told of here is what azml does with them.
func TestTargetManyOutputs(t *testing.T) {
	t.Parallel()
	files := size(100_000, 300)
	const room = 2 << 30
	for _, on := range targets() {
		if on.elsewhere || on.detach && on.site != nil {
			continue // the keeper alone would be another process
		}
		t.Run(on.name, func(t *testing.T) {
			ws, _, s := on.onSmallDisk(t, room)
			began := time.Now()
			r := on.begin(t, ws, fmt.Sprintf("for i in $(seq %d); do echo $i > outputs/$i; done", files), nil)
			require.NoError(t, r.Wait(t.Context(), nil))
			t.Logf("%s, of which %s after the script", time.Since(began), r.Details().Ended.Sub(recordOf(t, ws, r).History[3].Time))
			list, err := r.Files(t.Context(), "outputs")
			require.NoError(t, err)
			require.Len(t, list, files)
			last, err := r.Open(t.Context(), fmt.Sprintf("outputs/%d", files))
			require.NoError(t, err)
			defer last.Close()
			data, err := io.ReadAll(last)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintln(files), string(data))
			s.requireNothing(t, r)
		})
	}
}

// onSmallDisk is onSite with a disk of its own for what the site has on this machine.
func (on target) onSmallDisk(t *testing.T, room int64) (*workspace.Workspace, place, *site) {
	t.Helper()
	inner := on.site
	on.site = func(t *testing.T, p place) *site {
		s := &site{dirs: []string{p.Cache}, shared: sharedFolder(t)}
		if inner != nil {
			s = inner(t, p)
		}
		testenv.SmallDiskAt(t, s.dirs[0], room)
		return s
	}
	return onSite(t, on)
}
