package telemetry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/httpconv"
	"go.opentelemetry.io/otel/trace"
)

// Handler makes spans, of that name, and metrics of the requests that next
// answers, by OpenTelemetry's conventions for HTTP servers. A request's own trace context is
// taken over. What a request costs beyond next is 3 to 6 µs of CPU time when it is not sampled: no more
// of a span is made then than the context of the trace. next must use neither the request's body nor
// the writer after it has returned: what they count is read then.
func (r *Recorder) Handler(next http.Handler, span string) http.Handler {
	if !r.on {
		return next
	}
	meter := r.meters.Meter(Scope)
	h := &httpServer{next: next, span: span, tracer: r.tracer}
	var errs [3]error
	h.requestSize, errs[0] = httpconv.NewServerRequestBodySize(meter)
	h.responseSize, errs[1] = httpconv.NewServerResponseBodySize(meter)
	h.duration, errs[2] = httpconv.NewServerRequestDuration(meter, metric.WithExplicitBucketBoundaries(
		0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10))
	for _, err := range errs {
		if err != nil {
			otel.Handle(err) // as instrumentation does: what is served goes on without it
		}
	}
	return h
}

// httpServer is a handler with spans and metrics. otelhttp makes the same ones and takes more than twice as long:
// it makes attributes and copies of headers anew for each request.
type httpServer struct {
	next         http.Handler
	span         string
	tracer       trace.Tracer
	requestSize  httpconv.ServerRequestBodySize
	responseSize httpconv.ServerResponseBodySize
	duration     httpconv.ServerRequestDuration
	known        remembered[origin, *facts]
	starts       remembered[alike, []trace.SpanStartOption]
}

var serverKind = trace.WithSpanKind(trace.SpanKindServer)

// ServeHTTP answers a request.
func (h *httpServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	from := origin{r.Method, r.Host, r.Proto, r.TLS != nil}
	known := h.facts(from)
	ctx := r.Context()
	if _, carried := r.Header["Traceparent"]; carried {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	}
	ctx, span := h.tracer.Start(ctx, h.span, h.start(known, alike{from, r.URL.Path, r.UserAgent()})...)
	x := &exchange{ResponseWriter: w, body: r.Body}
	defer h.ended(ctx, span, known, x, began)
	if span.IsRecording() {
		span.SetAttributes(clientAttributes(r)...)
	}
	observed := r.WithContext(ctx)
	if r.Body != nil && r.Body != http.NoBody {
		observed.Body = (*countedBody)(x)
	}
	h.next.ServeHTTP(x, observed)
	x.returned = true
}

// facts gives what is known of requests of an origin.
func (h *httpServer) facts(from origin) *facts {
	known, ok := h.known.find(from)
	if ok {
		return known
	}
	from = from.clone() // attributes keep it, too
	known = newFacts(from)
	if from.length() > longestRemembered {
		return known
	}
	return h.known.add(from, known)
}

// start gives what the span of a request begins with.
func (h *httpServer) start(known *facts, like alike) []trace.SpanStartOption {
	opts, ok := h.starts.find(like)
	if ok {
		return opts
	}
	if like.length() > longestRemembered || h.starts.full() {
		return known.start(like.path, like.agent)
	}
	like = like.clone()
	return h.starts.add(like, known.start(like.path, like.agent))
}

// ended records the request, also when its handler panics.
func (h *httpServer) ended(ctx context.Context, span trace.Span, known *facts, x *exchange, began time.Time) {
	took := time.Since(began).Seconds()
	status, brokeOff := x.status, x.status != 0 && !x.returned
	switch {
	case status == 0 && x.returned:
		status = http.StatusOK // which net/http answers then
	case status == 0:
		status = http.StatusInternalServerError
	}
	if span.IsRecording() {
		span.SetStatus(spanStatus(status))
		span.SetAttributes(answerAttributes(status, x.read, x.written)...)
		if brokeOff {
			span.SetStatus(codes.Error, "the answer broke off")
			span.SetAttributes(semconv.ErrorTypeKey.String("panic"))
		}
	}
	span.End()
	with := known.metricAttributes(status)
	h.requestSize.Inst().Record(ctx, x.read, with...)
	h.responseSize.Inst().Record(ctx, x.written, with...)
	h.duration.Inst().Record(ctx, took, with...)
}

// spanStatus is the conventions': only the server's own failures are errors.
func spanStatus(status int) (codes.Code, string) {
	switch {
	case status < 100 || status > 599:
		return codes.Error, fmt.Sprintf("invalid HTTP status code %d", status)
	case status >= http.StatusInternalServerError:
		return codes.Error, ""
	}
	return codes.Unset, ""
}

// exchange is the writer of a request's answer, and counts what is read and written.
type exchange struct {
	http.ResponseWriter
	body          io.ReadCloser
	status        int
	returned      bool // the handler did, and didn't panic
	read, written int64
}

// Unwrap lets http.ResponseController find the real writer.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// WriteHeader remembers the first status that is no interim one.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes of the answer; without a status before, it is 200.
func (x *exchange) Write(p []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	n, err := x.ResponseWriter.Write(p)
	x.written += int64(n)
	return n, err
}

// countedBody is the body of a request, whose bytes are counted.
type countedBody exchange

// Read reads from the body.
func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.read += int64(n)
	return n, err
}

// Close closes the body.
func (b *countedBody) Close() error { return b.body.Close() }
