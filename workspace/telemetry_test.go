package workspace_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// observed opens a workspace with real providers that keep everything. The
// caller closes it before it looks at them.
func observed(t *testing.T) (*workspace.Workspace, *sdktrace.TracerProvider, *tracetest.SpanRecorder, *metric.ManualReader) {
	t.Helper()
	spans, reader := tracetest.NewSpanRecorder(), metric.NewManualReader()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	dir := t.TempDir()
	opts := options(dir)
	opts.TracerProvider, opts.MeterProvider = tracers, metric.NewMeterProvider(metric.WithReader(reader))
	ws, err := workspace.Open(t.Context(), filepath.Join(dir, "ws"), opts)
	require.NoError(t, err)
	return ws, tracers, spans, reader
}

// spanOf gives the one span of that name.
func spanOf(t *testing.T, recorder *tracetest.SpanRecorder, name string) sdktrace.ReadOnlySpan {
	t.Helper()
	all := recorder.Ended()
	var names []string
	for _, s := range all {
		names = append(names, s.Name())
	}
	i := slices.IndexFunc(all, func(s sdktrace.ReadOnlySpan) bool { return s.Name() == name })
	require.GreaterOrEqual(t, i, 0, "span %q among %q", name, names)
	return all[i]
}

func TestSpansReachFromSubmitToTheScript(t *testing.T) {
	t.Parallel()
	ws, tracers, spans, _ := observed(t)
	ctx, root := tracers.Tracer("test").Start(t.Context(), "root")
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "churn", nil)
	require.NoError(t, err)
	r, err := exp.Submit(ctx, experiment.ScriptRunConfig{
		Source: t.TempDir(), Command: []string{"sh", "-c", `echo "$TRACEPARENT" && mkdir -p outputs && printf %s "$TRACEPARENT" > outputs/parent`},
	}, nil)
	require.NoError(t, err)
	require.NoError(t, r.Wait(ctx, nil))
	parent := filepath.Join(t.TempDir(), "parent")
	require.NoError(t, r.DownloadFile(ctx, "outputs/parent", parent))
	root.End()
	require.NoError(t, ws.Close(t.Context())) // waits for the driving to end

	submit, drive := spanOf(t, spans, "submit run to experiment"), spanOf(t, spans, "drive run")
	require.Equal(t, root.SpanContext().TraceID(), submit.SpanContext().TraceID())
	require.Equal(t, root.SpanContext().SpanID(), submit.Parent().SpanID())
	require.Equal(t, submit.SpanContext().SpanID(), drive.Parent().SpanID(), "driven within its submission")
	var events []string
	for _, e := range drive.Events() {
		events = append(events, e.Name)
	}
	require.Equal(t, []string{"run Preparing", "run Running", "run Finalizing"}, events)

	text, err := os.ReadFile(parent)
	require.NoError(t, err)
	require.Equal(t, drive.SpanContext().TraceID().String(), strings.Split(string(text), "-")[1], "the script belongs to the trace")
}

func TestSpansReachThroughAnEndpoint(t *testing.T) {
	t.Parallel()
	ws, tracers, spans, reader := observed(t)
	ctx, root := tracers.Tracer("test").Start(t.Context(), "root")
	echo := func(_ context.Context, in json.RawMessage) (any, error) { return in, nil }
	ep, err := ws.Endpoints().Deploy(ctx, "echo", endpoint.Config{Handler: echo}, nil)
	require.NoError(t, err)
	_, err = ep.Invoke(ctx, []byte(`1`), nil)
	require.NoError(t, err)
	root.End()
	require.NoError(t, ws.Close(t.Context()))
	require.Equal(t, root.SpanContext().TraceID(), spanOf(t, spans, "score endpoint").SpanContext().TraceID())
	require.Contains(t, metricNames(t, reader), "http.server.request.duration")
}

func TestErrorsInTelemetry(t *testing.T) {
	t.Parallel()
	ws, _, spans, _ := observed(t)
	_, err := ws.Runs().Get(t.Context(), "nobody", nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.NoError(t, ws.Close(t.Context()))
	get := spanOf(t, spans, "get run")
	require.Equal(t, codes.Error, get.Status().Code)
	require.Contains(t, get.Attributes(), attribute.String("error.type", "not_found"))
	require.Contains(t, get.Attributes(), attribute.String("azml.name", "nobody"))
	require.Equal(t, get.SpanContext().SpanID(), spanOf(t, spans, "objects.get").Parent().SpanID())
}

// TestTelemetryNamesAreDocumented holds docs/telemetry.md to what is recorded,
// and what is recorded to the rule that the library's own looks leave no span.
func TestTelemetryNamesAreDocumented(t *testing.T) {
	t.Parallel()
	ws, _, spans, reader := observed(t)
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "churn", nil)
	require.NoError(t, err)
	_, err = exp.Run(t.Context(), func(_ context.Context, r *run.Run) error { return r.Log("loss", 1.0, nil) }, nil)
	require.NoError(t, err)
	for _, err := range ws.Runs().Search(t.Context(), "metrics.loss = 1", nil) {
		require.NoError(t, err)
	}
	require.NoError(t, ws.Close(t.Context()))
	text, err := os.ReadFile(filepath.Join("..", "docs", "telemetry.md"))
	require.NoError(t, err)
	for _, span := range spans.Ended() {
		kind := span.InstrumentationScope().Name
		if kind != "github.com/azml-go/azml" {
			require.Contains(t, string(text), "`"+span.Name()+"`")
			require.True(t, span.Parent().IsValid(), "a request's span is within another: %s", span.Name())
		}
	}
	for _, name := range []string{"search run", "seal metrics of run"} {
		spanOf(t, spans, name)
		require.Contains(t, string(text), "`"+name+"`")
	}
	names := metricNames(t, reader)
	for _, name := range names {
		require.Contains(t, string(text), "`"+name+"`")
	}
	for _, name := range []string{"azml.operation.duration", "azml.store.request.duration", "azml.store.io", "azml.run.ended", "azml.metric.points"} {
		require.Contains(t, names, name)
	}
}

func metricNames(t *testing.T, reader *metric.ManualReader) (names []string) {
	t.Helper()
	var data metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &data))
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			names = append(names, m.Name)
		}
	}
	return names
}
