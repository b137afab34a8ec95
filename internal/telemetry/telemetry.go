package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/azml-go/azml"
)

// Scope is the name of the library's tracer and meter.
const Scope = "github.com/azml-go/azml"

// Recorder makes spans and metrics. It is safe for concurrent use.
type Recorder struct {
	tracers   trace.TracerProvider
	meters    metric.MeterProvider
	on        bool
	tracer    trace.Tracer
	durations metric.Float64Histogram
	runs      metric.Int64Counter
	points    metric.Int64Counter
	traffics  traffics
}

// New makes a Recorder for the providers, either of which may be nil. Errors:
// ErrInvalid when the meter provider refuses an instrument.
func New(tracers trace.TracerProvider, meters metric.MeterProvider) (*Recorder, error) {
	r := &Recorder{tracers: tracers, meters: meters, on: tracers != nil || meters != nil}
	if r.tracers == nil {
		r.tracers = tracenoop.NewTracerProvider()
	}
	if r.meters == nil {
		r.meters = metricnoop.NewMeterProvider()
	}
	r.tracer = r.tracers.Tracer(Scope)
	meter := r.meters.Meter(Scope)
	var errs [3]error
	r.durations, errs[0] = meter.Float64Histogram("azml.operation.duration", metric.WithUnit("s"),
		metric.WithDescription("How long an operation of the library took."))
	r.runs, errs[1] = meter.Int64Counter("azml.run.ended", metric.WithUnit("{run}"),
		metric.WithDescription("Runs that this process brought to their last status."))
	r.points, errs[2] = meter.Int64Counter("azml.metric.points", metric.WithUnit("{point}"),
		metric.WithDescription("Logged points that became durable in the store."))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("%w: meter provider: %w", azml.ErrInvalid, err)
	}
	return r, nil
}

// Off gives a Recorder that records nothing.
func Off() *Recorder {
	r, _ := New(nil, nil) // the providers that do nothing refuse nothing
	return r
}

// Start begins the span of an operation, a child of ctx's. The function that it
// gives ends the span and records how long it took, and whether it failed.
func (r *Recorder) Start(ctx context.Context, op, kind, name string) (context.Context, func(error)) {
	if !r.on {
		return ctx, func(error) {}
	}
	what := []attribute.KeyValue{attribute.String("azml.operation", op), attribute.String("azml.kind", kind)}
	ctx, span := r.tracer.Start(ctx, op+" "+kind, trace.WithAttributes(append(what, attribute.String("azml.name", name))...))
	began := time.Now()
	return ctx, func(err error) {
		if err != nil {
			class := attribute.String("error.type", ErrorType(err))
			what = append(what, class)
			span.SetAttributes(class)
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
		r.durations.Record(ctx, time.Since(began).Seconds(), metric.WithAttributes(what...))
	}
}

// Event notes something that happened within ctx's operation.
func Event(ctx context.Context, name string, attributes ...attribute.KeyValue) {
	trace.SpanFromContext(ctx).AddEvent(name, trace.WithAttributes(attributes...))
}

// RunEnded counts a run that has come to its last status.
func (r *Recorder) RunEnded(ctx context.Context, status string) {
	r.runs.Add(ctx, 1, metric.WithAttributes(attribute.String("azml.run.status", status)))
}

// PointsShipped counts points that became durable.
func (r *Recorder) PointsShipped(ctx context.Context, n int) { r.points.Add(ctx, int64(n)) }

// ErrorType gives the value of the attribute error.type: the class of the
// error, such as "not_found".
func ErrorType(err error) string {
	for _, class := range []error{context.Canceled, context.DeadlineExceeded, azml.ClassOf(err)} {
		if class != nil && errors.Is(err, class) {
			return strings.ReplaceAll(class.Error(), " ", "_")
		}
	}
	return "_OTHER" // the convention's word for what has no name
}

// Adopt gives ctx the span of from as its parent span, for work that is begun in
// one context and done in another.
func Adopt(ctx, from context.Context) context.Context {
	return trace.ContextWithSpanContext(ctx, trace.SpanContextFromContext(from))
}

// Environ gives the environment variables that tell a child process which span
// it belongs to (W3C trace context: TRACEPARENT, TRACESTATE); none when there
// is no span.
func Environ(ctx context.Context) map[string]string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	env := map[string]string{}
	for name, value := range carrier {
		env[strings.ToUpper(name)] = value
	}
	return env
}

// Transport makes spans and metrics of the requests that next sends, which carry
// the trace context.
func (r *Recorder) Transport(next http.RoundTripper) http.RoundTripper {
	if !r.on {
		return next
	}
	return otelhttp.NewTransport(next, r.options()...)
}

// Providers are those of spans and metrics, for what makes its own of them by the
// conventions; ok is false when nothing is recorded.
func (r *Recorder) Providers() (tracers trace.TracerProvider, meters metric.MeterProvider, ok bool) {
	return r.tracers, r.meters, r.on
}

func (r *Recorder) options() []otelhttp.Option {
	return []otelhttp.Option{otelhttp.WithTracerProvider(r.tracers), otelhttp.WithMeterProvider(r.meters),
		otelhttp.WithPropagators(propagation.TraceContext{})}
}
