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

// Requests makes spans, of one name, and metrics of the requests that a server answers, by
// OpenTelemetry's conventions for HTTP servers, but of the sizes of bodies sums. A request's own
// trace context is taken over. No more of a span is made, when it is not sampled, than the context
// of the trace. nil makes none. It is safe for concurrent use.
//
// otelhttp makes the same ones and takes more than twice as long: it makes attributes and copies
// of headers anew for each request.
type Requests struct {
	span     string
	tracer   trace.Tracer
	traffic  *traffic
	duration httpconv.ServerRequestDuration
	known    remembered[origin, *facts]
	starts   remembered[alike, start]
}

// Requests gives what makes spans of that name and counts the bytes of the endpoint, "" for a
// server of none; nil when nothing is recorded.
func (r *Recorder) Requests(span, endpoint string) *Requests {
	if !r.on {
		return nil
	}
	duration, err := httpconv.NewServerRequestDuration(r.meters.Meter(Scope), metric.WithExplicitBucketBoundaries(
		0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10))
	if err != nil {
		otel.Handle(err) // as instrumentation does: what is served goes on without it
	}
	return &Requests{span: span, tracer: r.tracer, traffic: r.traffic(endpoint), duration: duration}
}

var serverKind = trace.WithSpanKind(trace.SpanKindServer)

// Begun is a request that is being answered. The zero value is of one that is not recorded.
type Begun struct {
	of    *Requests
	known *facts
	span  trace.Span
}

// Answered is what became of a request.
type Answered struct {
	// Status is the one that was sent, 0 for none.
	Status int
	// BrokeOff says that whoever answered did not return, but panicked.
	BrokeOff bool
	// Read and Written count the bytes of the bodies of request and answer.
	Read, Written int64
	// Took is how long it took.
	Took time.Duration
}

// Begin begins the span of a request. The context that it gives is the one to answer it with,
// and to end it with.
func (q *Requests) Begin(r *http.Request) (context.Context, Begun) {
	if q == nil {
		return r.Context(), Begun{}
	}
	start := q.start(alike{origin{r.Method, r.Host, r.Proto, r.TLS != nil}, r.URL.Path, r.UserAgent()})
	ctx := r.Context()
	if _, carried := r.Header["Traceparent"]; carried {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	}
	ctx, span := q.tracer.Start(ctx, q.span, start.with...)
	if span.IsRecording() {
		span.SetAttributes(clientAttributes(r)...)
	}
	return ctx, Begun{q, start.known, span}
}

// start gives what the span of a request begins with.
func (q *Requests) start(like alike) start {
	if found, ok := q.starts.find(like); ok {
		return found
	}
	known := q.facts(like.origin)
	if like.length() > longestRemembered || q.starts.full() {
		return start{known, known.start(like.path, like.agent)}
	}
	like = like.clone()
	return q.starts.add(like, start{known, known.start(like.path, like.agent)})
}

// facts gives what is known of requests of an origin.
func (q *Requests) facts(from origin) *facts {
	known, ok := q.known.find(from)
	if ok {
		return known
	}
	from = from.clone() // attributes keep it, too
	known = newFacts(from)
	if from.length() > longestRemembered {
		return known
	}
	return q.known.add(from, known)
}

// End ends the span and counts the request.
func (b *Begun) End(ctx context.Context, a Answered) {
	if b.of == nil {
		return
	}
	status := a.Status
	switch {
	case status == 0 && !a.BrokeOff:
		status = http.StatusOK // which net/http answers then
	case status == 0:
		status = http.StatusInternalServerError
	}
	if b.span.IsRecording() {
		b.span.SetStatus(spanStatus(status))
		b.span.SetAttributes(answerAttributes(status, a.Read, a.Written)...)
		if a.BrokeOff && a.Status != 0 {
			b.span.SetStatus(codes.Error, "the answer broke off")
			b.span.SetAttributes(semconv.ErrorTypeKey.String("panic"))
		}
	}
	b.span.End()
	b.of.traffic.add(a.Read, a.Written)
	b.of.duration.Inst().Record(ctx, a.Took.Seconds(), b.known.metricAttributes(status)...)
}

// Handler makes spans, of that name, and metrics of the requests that next answers, which must use
// neither a request's body nor its writer after it has returned: what they count is read then.
func (r *Recorder) Handler(next http.Handler, span string) http.Handler {
	if !r.on {
		return next
	}
	return &httpServer{next, r.Requests(span, "")}
}

// httpServer is a handler with spans and metrics.
type httpServer struct {
	next     http.Handler
	requests *Requests
}

// ServeHTTP answers a request.
func (h *httpServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	ctx, begun := h.requests.Begin(r)
	x := &exchange{ResponseWriter: w, body: r.Body}
	defer func() {
		begun.End(ctx, Answered{Status: x.status, BrokeOff: !x.returned, Read: x.read, Written: x.written, Took: time.Since(began)})
	}()
	observed := r.WithContext(ctx)
	if r.Body != nil && r.Body != http.NoBody {
		observed.Body = (*countedBody)(x)
	}
	h.next.ServeHTTP(x, observed)
	x.returned = true
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
