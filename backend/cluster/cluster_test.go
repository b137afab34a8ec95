//go:build linux

package cluster_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/cluster"
	"github.com/azml-go/azml/backend/process"
)

func TestMain(m *testing.M) {
	backendtest.Starter(makeNodes)
	goleak.VerifyTestMain(m)
}

const nodes = 3

// makeNodes gives a cluster of folders below one.
func makeNodes(dir string) (backend.OpenedCompute, error) {
	var all []backend.OpenedCompute
	for n := range nodes {
		d, err := process.New(filepath.Join(dir, fmt.Sprint(n)), &process.Options{LeftoverGrace: 200 * time.Millisecond})
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return cluster.New(all)
}

// open gives a cluster whose jobs end with the test.
func open(t *testing.T, dir string) backend.OpenedCompute {
	c, err := makeNodes(dir)
	require.NoError(t, err)
	t.Cleanup(func() {
		for s, err := range c.List(context.Background()) {
			require.NoError(t, err)
			require.NoError(t, c.Cancel(context.Background(), s.ID, 0))
		}
		require.NoError(t, c.Close())
	})
	return c
}

func TestConformance(t *testing.T) {
	t.Parallel()
	backendtest.Compute(t, func(t *testing.T) backendtest.ComputeHarness {
		dir := t.TempDir()
		return backendtest.ComputeHarness{
			Compute:     open(t, dir),
			Dir:         t.TempDir(),
			Nodes:       nodes,
			Reopen:      func() (backend.Compute, error) { return open(t, dir), nil },
			StartAndDie: func(t backendtest.TB, job backend.Job) error { return backendtest.StartAndDie(t, dir, job) },
		}
	})
}

// TestNamesOfNodes has IDs that would be taken for those of other nodes.
func TestNamesOfNodes(t *testing.T) {
	t.Parallel()
	c := open(t, t.TempDir())
	job := backend.Job{Command: []string{"/bin/true"}, Dir: "/", Nodes: 2}
	for _, id := range []string{"a.node1", "a.node12", strings.Repeat("x", 241)} {
		job.ID = id
		require.ErrorIs(t, c.Start(t.Context(), job), azml.ErrInvalid, id)
	}
	job.ID = "a"
	require.NoError(t, c.Start(t.Context(), job))
	_, err := c.Wait(t.Context(), "a")
	require.NoError(t, err)
	_, err = c.Status(t.Context(), "a.node1")
	require.ErrorIs(t, err, azml.ErrNotFound)
	_, err = cluster.New(nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
}
