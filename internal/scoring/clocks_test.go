package scoring

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestClocks: each clock rings once, at its time, unless it was stopped, wherever in
// the list it is.
func TestClocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit = time.Minute
		var c clocks
		began := time.Now()
		all, rang := make([]clock, 10), make([]time.Duration, 10)
		for round := range 2 { // the second one after a rest
			for i := range all {
				all[i], rang[i] = clock{}, 0
				c.start(&all[i], time.Now().Add(limit), func() {
					time.Sleep(time.Second)
					rang[i] = time.Since(began)
				})
				time.Sleep(time.Second)
			}
			for _, i := range []int{0, 4, 9} {
				require.True(t, all[i].stop())
			}
			for i := range all {
				if stopped := i == 0 || i == 4 || i == 9; stopped {
					continue
				}
				time.Sleep(time.Until(all[i].ends.Add(time.Nanosecond)))
				synctest.Wait()
				require.False(t, all[i].stop(), "it waits for what it has called")
				require.Equal(t, all[i].ends.Add(time.Second).Sub(began), rang[i], "round %d, clock %d", round, i)
			}
			require.Zero(t, rang[0]+rang[4]+rang[9])
			require.Nil(t, c.first)
			time.Sleep(2 * limit)
			require.False(t, c.armed)
		}
	})
	require.True(t, new(clock).stop(), "one that was not started")
}
