package main

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/workspace"
)

// shared is what is shown by one goroutine and looked at by another.
type shared struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// String gives what was shown.
func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// TestPhasesOfAStart shows what a process does that has begun to serve an endpoint.
func TestPhasesOfAStart(t *testing.T) {
	t.Parallel()
	ws := workspacetest.Open(t)
	_, err := ws.Endpoints().Create(t.Context(), "churn", nil)
	require.NoError(t, err)
	h := workspace.Handle(ws)
	stored, err := core.Get[record.Endpoint](t.Context(), h, core.EndpointPrefix+"churn.json")
	require.NoError(t, err)
	_, err = core.CreateQuiet(t.Context(), h, core.HostPrefix("churn")+"0123.json", record.EndpointHost{ID: "0123", Endpoint: stored.Value.ID, Owner: h.Owner(),
		State: record.EndpointTransitioning, Phase: "starting deployment main"})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	out, ended := &shared{}, make(chan struct{})
	go func() {
		defer close(ended)
		sayPhases(ctx, ws, "churn", &progress{out: out})
	}()
	require.Eventually(t, func() bool { return bytes.Contains([]byte(out.String()), []byte("starting deployment main …")) }, time.Minute, 10*time.Millisecond)
	stop()
	<-ended
}
