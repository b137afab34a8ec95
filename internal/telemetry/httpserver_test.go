package telemetry

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

const remoteTrace, remoteSpan = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

// kept are real providers that keep everything.
type kept struct {
	spans  *tracetest.SpanRecorder
	reader *sdkmetric.ManualReader
	tracer *sdktrace.TracerProvider
	meter  *sdkmetric.MeterProvider
}

func keep(sampler sdktrace.Sampler) kept {
	k := kept{spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	k.tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(k.spans), sdktrace.WithSampler(sampler))
	k.meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(k.reader))
	return k
}

func (k kept) handler(t *testing.T, next http.HandlerFunc) http.Handler {
	t.Helper()
	r, err := New(k.tracer, k.meter)
	require.NoError(t, err)
	return r.Handler(next, "score endpoint")
}

// metrics gives what was recorded of HTTP, by name.
func (k kept) metrics(t *testing.T) map[string]metricdata.Metrics {
	t.Helper()
	var data metricdata.ResourceMetrics
	require.NoError(t, k.reader.Collect(t.Context(), &data))
	found := map[string]metricdata.Metrics{}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			found[m.Name] = m
		}
	}
	return found
}

// answer reads the request and answers with the status that its query names.
func answer(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if r.URL.RawQuery == "late" {
		_, _ = io.WriteString(w, "answer")
		w.WriteHeader(http.StatusInternalServerError) // it is 200 already
		return
	}
	var status int
	if _, err := fmt.Sscan(r.URL.RawQuery, &status); err == nil {
		w.WriteHeader(status)
	}
	if status != http.StatusNoContent {
		_, _ = io.WriteString(w, "answer")
	}
}

// TestHandlerIsTheConventions holds spans and metrics against those of
// OpenTelemetry's own instrumentation.
func TestHandlerIsTheConventions(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(r *http.Request){
		"plain":               func(*http.Request) {},
		"an empty body":       func(r *http.Request) { r.Body, r.ContentLength = http.NoBody, 0 },
		"refused":             func(r *http.Request) { r.URL.RawQuery = "404" },
		"failed":              func(r *http.Request) { r.URL.RawQuery = "503" },
		"failed too late":     func(r *http.Request) { r.URL.RawQuery = "late" },
		"without an answer":   func(r *http.Request) { r.URL.RawQuery = "204" },
		"another method":      func(r *http.Request) { r.Method = "PURGE" },
		"the usual port":      func(r *http.Request) { r.Host = "models.example.com:80" },
		"no port":             func(r *http.Request) { r.Host = "models.example.com" },
		"an IPv6 address":     func(r *http.Request) { r.Host = "[::1]:8080" },
		"IPv6, no port":       func(r *http.Request) { r.Host = "[::1]" },
		"a port that is none": func(r *http.Request) { r.Host = "models.example.com:http" },
		"HTTPS":               func(r *http.Request) { r.TLS = &tls.ConnectionState{} },
		"HTTP/2":              func(r *http.Request) { r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0 },
		"a proxy":             func(r *http.Request) { r.Header.Set("X-Forwarded-For", "203.0.113.7, 198.51.100.2") },
		"an agent":            func(r *http.Request) { r.Header.Set("User-Agent", "curl/8") },
		"a trace":             func(r *http.Request) { r.Header.Set("Traceparent", "00-"+remoteTrace+"-"+remoteSpan+"-01") },
		"a broken trace":      func(r *http.Request) { r.Header.Set("Traceparent", "00-"+remoteTrace) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := keep(sdktrace.AlwaysSample()), keep(sdktrace.AlwaysSample())
			peer := otelhttp.NewHandler(http.HandlerFunc(answer), "", otelhttp.WithTracerProvider(theirs.tracer), otelhttp.WithMeterProvider(theirs.meter),
				otelhttp.WithPropagators(propagation.TraceContext{}), otelhttp.WithSpanNameFormatter(func(string, *http.Request) string { return "score endpoint" }))
			for _, handler := range []http.Handler{ours.handler(t, answer), peer} {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://models.example.com:8080/score", strings.NewReader("question"))
				change(r)
				handler.ServeHTTP(httptest.NewRecorder(), r)
			}
			require.Len(t, ours.spans.Ended(), 1)
			got, want := ours.spans.Ended()[0], theirs.spans.Ended()[0]
			require.Equal(t, want.Name(), got.Name())
			require.Equal(t, want.SpanKind(), got.SpanKind())
			require.Equal(t, want.Status().Code, got.Status().Code)
			require.Equal(t, want.Parent(), got.Parent())
			require.ElementsMatch(t, want.Attributes(), got.Attributes())
			found, peers := ours.metrics(t), theirs.metrics(t)
			require.Len(t, found, 2)
			const durations = "http.server.request.duration"
			metricdatatest.AssertEqual(t, peers[durations], found[durations], metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars(), metricdatatest.IgnoreValue())
			require.Equal(t, peers[durations].Data.(metricdata.Histogram[float64]).DataPoints[0].Bounds, found[durations].Data.(metricdata.Histogram[float64]).DataPoints[0].Bounds)
			require.Equal(t, map[string]int64{
				" receive":  peers["http.server.request.body.size"].Data.(metricdata.Histogram[int64]).DataPoints[0].Sum,
				" transmit": peers["http.server.response.body.size"].Data.(metricdata.Histogram[int64]).DataPoints[0].Sum,
			}, trafficOf(found))
		})
	}
}

// TestUnsampledRequests leave no span, are counted, and what is done within them
// belongs to their trace.
func TestUnsampledRequests(t *testing.T) {
	t.Parallel()
	k := keep(sdktrace.ParentBased(sdktrace.AlwaysSample()))
	var within trace.SpanContext
	handler := k.handler(t, func(w http.ResponseWriter, r *http.Request) {
		within = trace.SpanContextFromContext(r.Context())
		_, child := k.tracer.Tracer("test").Start(r.Context(), "child")
		child.End()
		answer(w, r)
	})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/score", strings.NewReader("question"))
	r.Header.Set("Traceparent", "00-"+remoteTrace+"-"+remoteSpan+"-00")
	handler.ServeHTTP(httptest.NewRecorder(), r)
	require.Equal(t, remoteTrace, within.TraceID().String())
	require.NotEqual(t, remoteSpan, within.SpanID().String())
	require.Empty(t, k.spans.Ended())
	require.Equal(t, map[string]int64{" receive": int64(len("question")), " transmit": int64(len("answer"))}, trafficOf(k.metrics(t)))
}

// TestSamplersSeeAttributes: those that tell requests apart.
func TestSamplersSeeAttributes(t *testing.T) {
	t.Parallel()
	seen := &seeing{}
	handler := keep(seen).handler(t, answer)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://models.example.com/score", http.NoBody)
	r.Header.Set("User-Agent", "curl/8")
	handler.ServeHTTP(httptest.NewRecorder(), r)
	for key, value := range map[attribute.Key]string{"http.request.method": "POST", "url.path": "/score", "url.scheme": "http",
		"server.address": "models.example.com", "user_agent.original": "curl/8"} {
		require.Contains(t, seen.attributes, key.String(value))
	}
}

// seeing is a sampler that remembers what it was asked.
type seeing struct{ attributes []attribute.KeyValue }

// ShouldSample drops all spans.
func (s *seeing) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	s.attributes = p.Attributes
	return sdktrace.SamplingResult{Decision: sdktrace.Drop}
}

// Description names it.
func (*seeing) Description() string { return "seeing" }

// TestHandlersThatPanic are failures, and the panic goes on.
func TestHandlersThatPanic(t *testing.T) {
	t.Parallel()
	k := keep(sdktrace.AlwaysSample())
	handler := k.handler(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	})
	require.Contains(t, k.spans.Ended()[0].Attributes(), attribute.Int("http.response.status_code", 500))
}

// TestAnswersThatBreakOff are failures, whatever their status was.
func TestAnswersThatBreakOff(t *testing.T) {
	t.Parallel()
	k := keep(sdktrace.AlwaysSample())
	handler := k.handler(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "the first half")
		panic(http.ErrAbortHandler)
	})
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	})
	span := k.spans.Ended()[0]
	require.Equal(t, sdktrace.Status{Code: codes.Error, Description: "the answer broke off"}, span.Status())
	require.Contains(t, span.Attributes(), attribute.Int("http.response.status_code", 200))
	require.Contains(t, span.Attributes(), attribute.String("error.type", "panic"))
}

// TestLongHosts are counted, and not remembered.
func TestLongHosts(t *testing.T) {
	t.Parallel()
	k := keep(sdktrace.NeverSample())
	handler := k.handler(t, answer)
	for range 2 {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/score", strings.NewReader("question"))
		r.Host = strings.Repeat("h", longestRemembered)
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	require.Nil(t, handler.(*httpServer).requests.known.now.Load())
	points := k.metrics(t)["http.server.request.duration"].Data.(metricdata.Histogram[float64]).DataPoints
	require.Len(t, points, 1)
	require.EqualValues(t, 2, points[0].Count)
}

// TestWhatClientsInvent is counted rightly, and bounds what is remembered.
func TestWhatClientsInvent(t *testing.T) {
	t.Parallel()
	k := keep(sdktrace.NeverSample())
	handler := k.handler(t, answer)
	for i := range 2 * mostRemembered {
		for range 2 {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/score", strings.NewReader("question"))
			r.Host, r.URL.Path = fmt.Sprintf("host%d", i), fmt.Sprintf("/path%d", i)
			handler.ServeHTTP(httptest.NewRecorder(), r)
		}
	}
	require.Len(t, *handler.(*httpServer).requests.known.now.Load(), mostRemembered)
	require.Len(t, *handler.(*httpServer).requests.starts.now.Load(), mostRemembered)
	points := k.metrics(t)["http.server.request.duration"].Data.(metricdata.Histogram[float64]).DataPoints
	require.Len(t, points, 2*mostRemembered)
	for _, point := range points {
		require.EqualValues(t, 2, point.Count)
	}
}

// TestAnswersInPieces: what the real writer can do is not lost.
func TestAnswersInPieces(t *testing.T) {
	t.Parallel()
	k := keep(sdktrace.NeverSample())
	more, flushed := make(chan struct{}), make(chan error, 1)
	server := httptest.NewServer(k.handler(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "first")
		err := http.NewResponseController(w).Flush()
		flushed <- err
		if err == nil {
			<-more
		}
	}))
	t.Cleanup(server.Close)
	request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, server.URL, http.NoBody)
	require.NoError(t, err)
	response, err := server.Client().Do(request)
	require.NoError(t, err)
	piece := make([]byte, len("first"))
	_, err = io.ReadFull(response.Body, piece)
	close(more)
	require.NoError(t, err)
	require.NoError(t, <-flushed)
	require.NoError(t, response.Body.Close())
}
