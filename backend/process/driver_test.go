//go:build linux

package process_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/process"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	backendtest.Compute(t, func(t *testing.T) backendtest.ComputeHarness {
		dir := t.TempDir()
		return backendtest.ComputeHarness{
			Compute: open(t, dir),
			Dir:     t.TempDir(),
			Reopen:  func() (backend.Compute, error) { return open(t, dir), nil },
			StartAndDie: func(t backendtest.TB, job backend.Job) error {
				return backendtest.StartAndDie(t, dir, job)
			},
		}
	})
}

// open gives a driver whose jobs end with the test.
func open(t *testing.T, dir string) *process.Driver {
	d, err := process.New(dir, &process.Options{LeftoverGrace: 200 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() {
		for s, err := range d.List(context.Background()) {
			require.NoError(t, err)
			require.NoError(t, d.Cancel(context.Background(), s.ID, 0))
		}
		require.NoError(t, d.Close())
	})
	return d
}
