package telemetry

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// trafficOf gives the sums of bytes, by endpoint and direction.
func trafficOf(metrics map[string]metricdata.Metrics) map[string]int64 {
	sums := map[string]int64{}
	for _, point := range metrics["azml.server.io"].Data.(metricdata.Sum[int64]).DataPoints {
		endpoint, _ := point.Attributes.Value("azml.endpoint")
		direction, _ := point.Attributes.Value("network.io.direction")
		sums[endpoint.AsString()+" "+direction.AsString()] = point.Value
	}
	return sums
}

// TestTrafficOfEndpoints: an endpoint that is served again, or by two workspaces of one
// provider, goes on counting; others are apart.
func TestTrafficOfEndpoints(t *testing.T) {
	t.Parallel()
	k := keep(sdktrace.NeverSample())
	first, err := New(k.tracer, k.meter)
	require.NoError(t, err)
	second, err := New(k.tracer, k.meter)
	require.NoError(t, err)
	count := func(r *Recorder, endpoint string, read, written int64) {
		var wait sync.WaitGroup
		requests := r.Requests("score endpoint", endpoint)
		for range 10 {
			wait.Go(func() {
				ctx, begun := requests.Begin(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/score", http.NoBody))
				begun.End(ctx, Answered{Status: http.StatusOK, Read: read, Written: written})
			})
		}
		wait.Wait()
	}
	count(first, "churn", 3, 5)
	require.Equal(t, map[string]int64{"churn receive": 30, "churn transmit": 50}, trafficOf(k.metrics(t)))
	count(first, "fraud", 1, 1)
	count(first, "churn", 3, 5)
	count(second, "churn", 100, 1000)
	count(second, "", 7, 7)
	want := map[string]int64{"churn receive": 1060, "churn transmit": 10100, "fraud receive": 10, "fraud transmit": 10, " receive": 70, " transmit": 70}
	require.Equal(t, want, trafficOf(k.metrics(t)))
	require.Equal(t, want, trafficOf(k.metrics(t)), "what was read is still there")
}
