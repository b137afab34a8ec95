package server

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/workspace"
)

// A request is a span within its client's trace, and all bounds hold with it.
func TestTelemetry(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	dir := t.TempDir()
	opts := workspacetest.Options(dir)
	opts.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	ws, err := workspace.Open(t.Context(), filepath.Join(dir, "ws"), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ws.Close(context.Background())) })
	s := serveWorkspace(t, ws, nil, hasty)
	const trace = "0af7651916cd43dd8448eb211c80319c"
	a := s.send("POST", create, `{"name":"e"}`, "traceparent: 00-"+trace+"-b7ad6b7169203331-01")
	require.Equal(t, http.StatusOK, a.status, a.body)

	conn := s.dial()
	defer conn.Close()
	_, err = io.WriteString(conn, "POST "+create+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{\"na")
	require.NoError(t, err)
	require.Contains(t, ends(t, conn), "400 Bad Request")

	require.NoError(t, s.stop())
	served, stored := 0, 0
	for _, span := range spans.Ended() {
		if span.SpanContext().TraceID().String() != trace {
			continue
		}
		if span.Name() == "serve client" {
			served++
		}
		if strings.HasPrefix(span.Name(), "objects.") {
			stored++
		}
	}
	require.Equal(t, 1, served)
	require.NotZero(t, stored, "the requests to the store are within it")
}
