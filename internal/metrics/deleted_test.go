package metrics

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
)

// TestDeletedWhileRead deletes a log under the eyes of a reader: what it has
// given then must not look like all there was.
func TestDeletedWhileRead(t *testing.T) {
	t.Parallel()
	for _, sealed := range []bool{false, true} {
		t.Run(map[bool]string{false: "segments", true: "sealed"}[sealed], func(t *testing.T) {
			t.Parallel()
			const points = 20_000
			l, objects := newLog(t, smallLimits)
			w := newWriter(t, l)
			for i := range points {
				require.NoError(t, w.Log("x", float64(i), int64(i), time.Time{}))
			}
			require.NoError(t, w.Close(t.Context()))
			if sealed {
				_, err := l.Seal(t.Context())
				require.NoError(t, err)
			}
			n := 0
			var err error
			for _, err = range l.Read(t.Context(), nil) {
				if n++; n == 1 {
					deleteAll(t, objects)
				}
			}
			require.ErrorIs(t, err, azml.ErrNotFound)
			require.Less(t, n, points)
		})
	}
}

// deleteAll deletes a run's metrics in the order in which runs are deleted.
func deleteAll(t *testing.T, objects *memory.Objects) {
	t.Helper()
	var keys []string
	for info, err := range objects.List(t.Context(), &backend.ListOptions{Prefix: testPrefix}) {
		require.NoError(t, err)
		keys = append(keys, info.Key)
	}
	for _, key := range slices.Backward(keys) {
		require.NoError(t, objects.Delete(t.Context(), key, &backend.DeleteOptions{}))
	}
}
