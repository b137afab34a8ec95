package index

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// feedless is a store without a change feed, whose spool is in a folder.
type feedless struct {
	backend.Objects
	spool string
}

// SpoolDir implements backend.Spooler.
func (s feedless) SpoolDir() (string, error) { return s.spool, nil }

// TestOwnerless has runs that nobody answers for and that don't end. Searches
// find what is logged to one of them by another process, in the spool and in the
// store, and have nothing to do for the others.
func TestOwnerless(t *testing.T) {
	t.Parallel()
	for name, spaces := range map[string]func(t *testing.T) (logging, searching *space){
		"with a feed": func(t *testing.T) (*space, *space) {
			dir := t.TempDir()
			return local(t, dir, t.TempDir()), local(t, dir, t.TempDir())
		},
		"without": func(t *testing.T) (*space, *space) {
			store := feedless{struct{ backend.Objects }{memory.NewObjects()}, t.TempDir()}
			return open(t, store, t.TempDir()), open(t, store, t.TempDir())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, other := spaces(t)
			for i := range 5 {
				s.put(t, fmt.Sprint("r", i), func(r *record.Run) { r.Status = record.Running })
			}
			require.Len(t, other.hits(t, ""), 5)
			log, err := history.Metrics(s.Handle, s.get(t, "r3"))
			require.NoError(t, err)
			w, err := log.NewWriter()
			require.NoError(t, err)
			for i, store := range []func(context.Context) error{nil, w.Flush, nil, w.Close} {
				require.NoError(t, w.Log("m", float64(i+1), int64(i), time.Time{}))
				if store != nil {
					require.NoError(t, store(t.Context()))
				}
				require.Equal(t, []string{"r3"}, other.ids(t, fmt.Sprintf("metrics.m = %d", i+1)))
			}
			require.Empty(t, other.ids(t, "metrics.m = 3"))
			w, err = log.NewWriter() // after nothing was in the spool
			require.NoError(t, err)
			require.NoError(t, w.Log("m", 3, 9, time.Time{}))
			require.Equal(t, []string{"r3"}, other.ids(t, "metrics.m = 3"))
			require.NoError(t, w.Close(t.Context()))
			require.Equal(t, []string{"r3"}, other.ids(t, "metrics.m = 3"))
			for range 2 { // the second one has nothing to do
				require.Len(t, other.hits(t, "status = 'Running'"), 5)
			}
			if name == "with a feed" {
				require.True(t, idle(t, other), "runs without points in the spool are not looked at")
			}
		})
	}
}

// idle tells whether a search would find nothing to do first.
func idle(t *testing.T, s *space) bool {
	t.Helper()
	x, err := Of(s.Handle)
	require.NoError(t, err)
	db, err := x.database(t.Context())
	require.NoError(t, err)
	c, err := db.acquire(t.Context())
	require.NoError(t, err)
	defer db.release(c)
	w, err := (&updater{x: x, h: s.Handle, c: c}).look(t.Context())
	require.NoError(t, err)
	return w.idle()
}
