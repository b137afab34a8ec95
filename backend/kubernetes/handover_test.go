package kubernetes

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/ssh/jobs"
)

// carried is what a client talks over; it counts how often it was closed.
type carried struct {
	closed atomic.Int32
	rest   *io.PipeWriter // what the server says behind its greeting, which is nothing
}

func (c *carried) Close() error {
	c.closed.Add(1)
	return c.rest.Close()
}

// speaking gives a client of a server that only greets.
func speaking(t *testing.T) (*jobs.Client, *carried) {
	t.Helper()
	nothing, rest := io.Pipe()
	c := &carried{rest: rest}
	said := io.MultiReader(strings.NewReader(fmt.Sprintf("azml-jobs protocol %d\n", jobs.Protocol)), nothing)
	client, err := jobs.Connect(t.Context(), said, io.Discard, c)
	require.NoError(t, err)
	return client, c
}

// TestHandover has a job's connection closed by who has it last, and not before its start
// needs it no more.
func TestHandover(t *testing.T) {
	t.Parallel()
	d := &Driver{handovers: new(sync.Map)}
	job := backend.Job{ID: "a"}
	require.Nil(t, handedTo(t, d), "it is not being started")

	h, end := d.handOver(job)
	client, c := speaking(t)
	require.True(t, h.give(client))
	another, _ := speaking(t)
	require.False(t, h.give(another), "who has made it closes it")
	require.NoError(t, another.Close())
	got, closing := d.handed(t.Context(), job.ID)
	require.Same(t, client, got)
	closing()
	require.Zero(t, c.closed.Load(), "the start may wait for an answer by it")
	end()
	require.NotZero(t, c.closed.Load())
	require.Nil(t, handedTo(t, d), "it was started")

	h, end = d.handOver(job)
	client, c = speaking(t)
	require.True(t, h.give(client))
	end()
	require.NotZero(t, c.closed.Load(), "nobody listened")

	h, end = d.handOver(job)
	client, c = speaking(t)
	require.True(t, h.give(client))
	_, closing = d.handed(t.Context(), job.ID)
	end()
	require.Zero(t, c.closed.Load(), "who listens has it")
	closing()
	require.NotZero(t, c.closed.Load())

	_, end = d.handOver(backend.Job{ID: "a", Nodes: 2})
	defer end()
	require.Nil(t, handedTo(t, d), "each node has a session of its own")
}

// handedTo gives the client that who listens for the job is handed.
func handedTo(t *testing.T, d *Driver) *jobs.Client {
	t.Helper()
	client, _ := d.handed(t.Context(), "a")
	return client
}
