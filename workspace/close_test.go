package workspace_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

func echo(_ context.Context, input json.RawMessage) (any, error) { return input, nil }

// Closing waits for submitted scripts; what is hosted in this process ends at
// once.
func TestCloseEndsWhatThisProcessHosts(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	ws := openOnly(t, dir)
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "e", nil)
	require.NoError(t, err)
	r, err := exp.StartLogging(ctx, nil)
	require.NoError(t, err)
	require.NoError(t, r.Log("loss", 1.5, nil))
	ep, err := ws.Endpoints().Deploy(ctx, "echo", endpoint.Config{Handler: echo}, nil)
	require.NoError(t, err)

	closed := make(chan error, 1)
	go func() { closed <- ws.Close(context.Background()) }()
	select {
	case err := <-closed:
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		t.Fatal("Close waits for a run and an endpoint that only Close can end")
	}
	again := open(t, dir)
	r, err = again.Runs().Get(ctx, r.ID(), nil)
	require.NoError(t, err)
	require.Equal(t, run.StatusFailed, r.Status())
	require.Contains(t, r.Details().Reason, "closed")
	sums, err := r.Summaries(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 1, sums["loss"].Count)
	ep, err = again.Endpoints().Get(ctx, ep.Name(), nil)
	require.NoError(t, err)
	require.Equal(t, endpoint.StateStopped, ep.State())
	require.Empty(t, ep.ScoringURI())
}

func TestCloseTwice(t *testing.T) {
	t.Parallel()
	ws := openOnly(t, t.TempDir())
	require.NoError(t, ws.Close(t.Context()))
	require.NoError(t, errors.Unwrap(ws.Close(t.Context())))
	_, err := ws.Experiments().CreateOrUpdate(t.Context(), "e", nil)
	require.Error(t, err)
}

var _ *workspace.Workspace
