package run_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/run"
)

// TestFollowedRunIsDeleted deletes a run between two looks of one who follows it.
func TestFollowedRunIsDeleted(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"something logged", "nothing logged"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws := open(t)
			r := startIn(t, ws, nil)
			if name == "something logged" {
				require.NoError(t, r.Log("x", 1, nil))
			}
			follower, err := ws.Runs().Get(t.Context(), r.ID(), nil)
			require.NoError(t, err)
			require.NoError(t, r.Complete(t.Context()))
			require.NoError(t, ws.Runs().Delete(t.Context(), r.ID(), nil))
			for _, err = range follower.Metrics(t.Context(), &run.MetricsOptions{Follow: true}) {
				if err != nil {
					break
				}
			}
			require.ErrorIs(t, err, azml.ErrNotFound)
		})
	}
}

// TestMetricsOfADeletedRun reads a run that somebody else has deleted: that is no
// run without metrics.
func TestMetricsOfADeletedRun(t *testing.T) {
	t.Parallel()
	ws := open(t)
	r := startIn(t, ws, nil)
	require.NoError(t, r.Log("x", 1, nil))
	require.NoError(t, r.Complete(t.Context()))
	require.NoError(t, ws.Runs().Delete(t.Context(), r.ID(), nil))
	for name, read := range map[string]func() error{
		"Metrics": func() (err error) {
			for _, err = range r.Metrics(t.Context(), nil) {
			}
			return err
		},
		"Summaries":     func() error { _, err := r.Summaries(t.Context()); return err },
		"Chart":         func() error { _, err := r.Chart(t.Context(), "x", nil); return err },
		"ExportMetrics": func() error { return r.ExportMetrics(t.Context(), &bytes.Buffer{}, nil) },
		"Compare": func() error {
			_, err := run.Compare(t.Context(), []*run.Run{r, startIn(t, ws, nil)}, nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := read()
			require.ErrorIs(t, err, azml.ErrNotFound)
			require.ErrorContains(t, err, r.ID())
			require.NotContains(t, err.Error(), "nothing was logged")
		})
	}
}
