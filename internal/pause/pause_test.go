package pause_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/pause"
)

// TestFor waits to the end, and only as long as somebody wants to.
func TestFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		require.True(t, pause.For(t.Context(), time.Hour))
		require.Equal(t, time.Hour, time.Since(began))
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		require.False(t, pause.For(ctx, time.Hour))
		require.Equal(t, time.Hour+time.Minute, time.Since(began))
		require.True(t, pause.For(t.Context(), 0))
	})
}
