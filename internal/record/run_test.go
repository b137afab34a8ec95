package record

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTries counts the tries since a run was begun last, and gives them pauses.
func TestTries(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		history []Status
		try     int
		pause   time.Duration
	}{
		"of no queue":                      {[]Status{Starting}, 1, 0},
		"just queued":                      {[]Status{Queued}, 1, 0},
		"queued anew":                      {[]Status{Queued, Queued}, 2, time.Second},
		"once more":                        {[]Status{Queued, Queued, Queued}, 3, 2 * time.Second},
		"begun, and taken away":            {[]Status{Queued, Queued, Preparing, Running, Queued}, 1, 0},
		"begun, taken away and lost again": {[]Status{Queued, Running, Queued, Queued}, 2, time.Second},
		"the eighth":                       {[]Status{Queued, Queued, Queued, Queued, Queued, Queued, Queued, Queued}, 8, time.Minute},
	} {
		r := Run{}
		for _, s := range c.history {
			r.History = append(r.History, Transition{Status: s})
		}
		require.Equal(t, c.try, r.Try(), name)
		require.Equal(t, c.pause, TryPause(r.Try()), name)
	}
	require.Equal(t, time.Minute, TryPause(1000))
	require.Greater(t, sumOfPauses(10), 4*time.Minute-2*time.Second, "an engine that is started anew takes less")
}

func sumOfPauses(tries int) (sum time.Duration) {
	for try := range tries {
		sum += TryPause(try + 1)
	}
	return sum
}
