package inferencegrpc

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/metadata"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/workspace"
)

// TestCallsHaveSpans: a call is a span of the trace that the client is in, and is
// counted.
func TestCallsHaveSpans(t *testing.T) {
	t.Parallel()
	spans, reader := tracetest.NewSpanRecorder(), metric.NewManualReader()
	dir := t.TempDir()
	ws, err := workspace.Open(t.Context(), filepath.Join(dir, "ws"), &workspace.OpenOptions{CacheDir: filepath.Join(dir, "cache"),
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)), MeterProvider: metric.NewMeterProvider(metric.WithReader(reader))})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ws.Close(context.Background())) })
	ep, err := ws.Endpoints().Deploy(t.Context(), "double", endpoint.Config{Handler: twice}, &endpoint.DeployOptions{
		PrimaryKey: "test-key", Serve: &endpoint.ServeOptions{GRPC: Listen("127.0.0.1:0")}})
	require.NoError(t, err)
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer test-key", "traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
	_, err = dial(t, ep.Details().Hosts[0].GRPC).ModelInfer(ctx, numbers(1))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		for _, s := range spans.Ended() {
			if s.Name() == "inference.GRPCInferenceService/ModelInfer" {
				return s.SpanContext().TraceID().String() == trace
			}
		}
		return false
	}, 20*time.Second, time.Millisecond)
	require.Eventually(t, func() bool {
		var all metricdata.ResourceMetrics
		if reader.Collect(t.Context(), &all) != nil {
			return false
		}
		for _, scope := range all.ScopeMetrics {
			for _, m := range scope.Metrics {
				if m.Name == "rpc.server.call.duration" {
					return true
				}
			}
		}
		return false
	}, 20*time.Second, time.Millisecond)
}
