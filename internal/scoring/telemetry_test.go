package scoring

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/azml-go/azml/internal/router"
	"github.com/azml-go/azml/internal/telemetry"
)

// observed is what was recorded of a server's requests.
type observed struct {
	spans  *tracetest.SpanRecorder
	reader *sdkmetric.ManualReader
}

func observe(t *testing.T) (observed, *telemetry.Recorder) {
	t.Helper()
	o := observed{tracetest.NewSpanRecorder(), sdkmetric.NewManualReader()}
	r, err := telemetry.New(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(o.spans)), sdkmetric.NewMeterProvider(sdkmetric.WithReader(o.reader)))
	require.NoError(t, err)
	return o, r
}

func (o observed) metrics(t *testing.T) map[string]metricdata.Metrics {
	t.Helper()
	var data metricdata.ResourceMetrics
	require.NoError(t, o.reader.Collect(t.Context(), &data))
	found := map[string]metricdata.Metrics{}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			found[m.Name] = m
		}
	}
	return found
}

// TestServerObservesItself: spans and metrics are those that the handler for any server
// makes of the same requests.
func TestServerObservesItself(t *testing.T) {
	t.Parallel()
	broken := HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "the first half")
		panic("the second one")
	}))
	failing := Handler(func(context.Context, json.RawMessage) (any, error) { return nil, errors.New("no") })
	echo := Handler(func(_ context.Context, in json.RawMessage) (any, error) { return in, nil })
	for name, test := range map[string]struct {
		scorer Scorer
		change func(r *http.Request)
	}{
		"scored": {echo, func(*http.Request) {}},
		"scored in a trace": {echo, func(r *http.Request) {
			r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
		}},
		"length unknown":     {echo, func(r *http.Request) { r.ContentLength = -1 }},
		"no key":             {echo, func(r *http.Request) { r.Header.Del("Authorization") }},
		"not JSON":           {echo, func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("[1, 2, 3, ")) }},
		"cut off":            {echo, func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("[1,")) }},
		"too large":          {echo, func(r *http.Request) { r.ContentLength = 1 << 20 }},
		"no such path":       {echo, func(r *http.Request) { r.URL.Path = "/nowhere" }},
		"no such deployment": {echo, func(r *http.Request) { r.Header.Set(headerDeployment, "green") }},
		"a probe":            {echo, func(r *http.Request) { r.Method, r.URL.Path = http.MethodGet, "/" }},
		"a tensor's request": {echo, func(r *http.Request) { r.URL.Path = "/v2/models/model/infer" }},
		"a long id":          {echo, func(r *http.Request) { r.Header.Set(headerRequestID, strings.Repeat("i", maxRequestID+1)) }},
		"failed":             {failing, func(*http.Request) {}},
		"failed by a panic":  {broken, func(*http.Request) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := StartDeployment(t.Context(), DeploymentConfig{Name: "blue", Start: func(context.Context) (Scorer, error) { return test.scorer, nil }})
			require.NoError(t, err)
			defer func() { require.NoError(t, d.Close(context.WithoutCancel(t.Context()))) }()
			serve := func(requests *telemetry.Requests) *Server {
				s := NewServer(Config{Authorize: func(key string) bool { return key == "secret" }, Telemetry: requests})
				s.SetLimits(Limits{MaxBody: 1000})
				require.NoError(t, s.SetRoutes([]router.Route[*Deployment]{{Name: "blue", To: d, Percent: 100}}))
				return s
			}
			own, recorder := observe(t)
			around, other := observe(t)
			for _, handler := range []http.Handler{serve(recorder.Requests("score endpoint", "")), other.Handler(serve(nil), "score endpoint")} {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://models.example.com:8080/score", strings.NewReader("[1, 2, 3]"))
				r.Header.Set("Authorization", "Bearer secret")
				test.change(r)
				handler.ServeHTTP(httptest.NewRecorder(), r)
			}
			require.Len(t, own.spans.Ended(), 1)
			got, want := own.spans.Ended()[0], around.spans.Ended()[0]
			require.Equal(t, want.Name(), got.Name())
			require.Equal(t, want.Status(), got.Status())
			require.Equal(t, want.Parent(), got.Parent())
			require.ElementsMatch(t, want.Attributes(), got.Attributes())
			found := own.metrics(t)
			require.Len(t, found, 2)
			for name, m := range around.metrics(t) {
				options := []metricdatatest.Option{metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars()}
				if name == "http.server.request.duration" {
					options = append(options, metricdatatest.IgnoreValue())
				}
				metricdatatest.AssertEqual(t, m, found[name], options...)
			}
		})
	}
}
