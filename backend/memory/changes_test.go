package memory_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
)

// TestOldChangesAreForgotten follows a store through more changes than it
// remembers.
func TestOldChangesAreForgotten(t *testing.T) {
	t.Parallel()
	s := memory.NewObjects()
	changes := func(cursor string) backend.Changes {
		got, err := s.Changes(t.Context(), cursor, &backend.ChangesOptions{})
		require.NoError(t, err)
		return got
	}
	first := changes("").Cursor
	cursor, lost := first, 0
	for i := range 45 {
		for range 10_000 {
			_, err := s.Put(t.Context(), fmt.Sprint(i), strings.NewReader("1"), &backend.PutOptions{})
			require.NoError(t, err)
		}
		got := changes(cursor)
		require.False(t, got.Lost)
		require.Equal(t, []string{fmt.Sprint(i)}, got.Keys)
		cursor = got.Cursor
		if changes(first).Lost {
			lost++
			continue
		}
		require.Zero(t, lost, "a lost cursor came back")
	}
	require.Positive(t, lost)
	require.Less(t, lost, 45-10, "100,000 changes are remembered")
	require.True(t, func() bool {
		got, err := memory.NewObjects().Changes(t.Context(), first, &backend.ChangesOptions{})
		return err == nil && got.Lost
	}(), "the cursor of another store")
}
