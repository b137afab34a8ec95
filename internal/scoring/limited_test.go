package scoring

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestLimited: the context does what context.WithTimeout's does, whenever it is
// first asked.
func TestLimited(t *testing.T) {
	t.Parallel()
	type key struct{}
	for name, ask := range map[string]func(context.Context){
		"late":   func(context.Context) {},
		"before": func(ctx context.Context) { _ = ctx.Done() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, 1))
				defer cancel()
				l := &limited{Context: parent}
				ask(l)
				_, limit := l.Deadline()
				require.False(t, limit)
				l.begin(time.Second)
				deadline, _ := l.Deadline()
				require.Equal(t, time.Second, time.Until(deadline))
				child, stop := context.WithTimeout(l, time.Minute)
				defer stop()
				require.Equal(t, 1, child.Value(key{}))
				time.Sleep(time.Second - 1)
				require.NoError(t, l.Err())
				require.NoError(t, child.Err())
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				require.Equal(t, context.DeadlineExceeded, l.Err())
				require.Equal(t, context.DeadlineExceeded, child.Err())
				cancel()
				require.Equal(t, context.DeadlineExceeded, l.Err())
				l.end()

				second := &limited{Context: parent} // of a request that is gone
				ask(second)
				second.begin(time.Second)
				require.Equal(t, context.Canceled, second.Err())
				<-second.Done()

				third := &limited{Context: context.WithoutCancel(parent)}
				third.begin(time.Second)
				ask(third)
				third.end()
				require.Equal(t, context.Canceled, third.Err())
				<-third.Done()
			})
		})
	}
}
