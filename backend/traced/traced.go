// Package traced makes OpenTelemetry spans and metrics of the requests to a
// store. Package workspace wraps its stores so when it is given providers; the
// names are listed in docs/telemetry.md.
package traced

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

const scope = "github.com/azml-go/azml/backend/traced"

// Providers say where spans and metrics go.
type Providers struct {
	// Tracer makes the spans; nil makes none.
	Tracer trace.TracerProvider
	// Meter makes the metrics; nil makes none.
	Meter metric.MeterProvider
}

// recorder is what the wrapped stores have in common.
type recorder struct {
	tracer    trace.Tracer
	durations metric.Float64Histogram
	bytes     metric.Int64Counter
}

func newRecorder(p Providers) (*recorder, error) {
	if p.Tracer == nil {
		p.Tracer = tracenoop.NewTracerProvider()
	}
	if p.Meter == nil {
		p.Meter = metricnoop.NewMeterProvider()
	}
	meter := p.Meter.Meter(scope)
	durations, err := meter.Float64Histogram("azml.store.request.duration", metric.WithUnit("s"),
		metric.WithDescription("How long a request to a store took."))
	if err != nil {
		return nil, fmt.Errorf("%w: meter provider: %w", azml.ErrInvalid, err)
	}
	bytes, err := meter.Int64Counter("azml.store.io", metric.WithUnit("By"),
		metric.WithDescription("Bytes of objects that were read and written."))
	if err != nil {
		return nil, fmt.Errorf("%w: meter provider: %w", azml.ErrInvalid, err)
	}
	return &recorder{p.Tracer.Tracer(scope), durations, bytes}, nil
}

// start begins a request. It has a span only within another one: what a
// workspace does on its own, such as looking whether a run was canceled, would
// drown all others.
func (r *recorder) start(ctx context.Context, op, key string) (context.Context, func(error)) {
	what := []attribute.KeyValue{attribute.String("azml.store.operation", op)}
	span := trace.SpanFromContext(context.Background())
	if trace.SpanContextFromContext(ctx).IsValid() {
		ctx, span = r.tracer.Start(ctx, op, trace.WithSpanKind(trace.SpanKindClient),
			trace.WithAttributes(append(what, attribute.String("azml.store.key", key))...))
	}
	began := time.Now()
	return ctx, func(err error) {
		if err != nil {
			class := attribute.String("error.type", errorType(err))
			what = append(what, class)
			span.SetAttributes(class)
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
		r.durations.Record(ctx, time.Since(began).Seconds(), metric.WithAttributes(what...))
	}
}

// errorType gives the class of the error, such as "not_found".
func errorType(err error) string {
	for _, class := range []error{context.Canceled, context.DeadlineExceeded, azml.ClassOf(err)} {
		if class != nil && errors.Is(err, class) {
			return strings.ReplaceAll(class.Error(), " ", "_")
		}
	}
	return "_OTHER" // the convention's word for what has no name
}

var (
	readAttribute  = metric.WithAttributeSet(attribute.NewSet(attribute.String("azml.store.direction", "read")))
	writeAttribute = metric.WithAttributeSet(attribute.NewSet(attribute.String("azml.store.direction", "write")))
)

type objects struct {
	*recorder
	inner backend.Objects
}

// Objects makes spans and metrics of the requests to inner. It is as safe for
// concurrent use as inner. Errors: ErrInvalid when the meter provider refuses
// an instrument.
func Objects(inner backend.Objects, providers Providers) (backend.Objects, error) {
	r, err := newRecorder(providers)
	if err != nil {
		return nil, err
	}
	return &objects{r, inner}, nil
}

// Unwrap gives the store inside, for backend.As.
func (o *objects) Unwrap() any { return o.inner }

// Get's span ends with the answer; the body is read later and counted as it is.
func (o *objects) Get(ctx context.Context, key string, opts *backend.GetOptions) (_ *backend.Object, err error) {
	ctx, end := o.start(ctx, "objects.get", key)
	defer func() { end(err) }()
	object, err := o.inner.Get(ctx, key, opts)
	if err != nil {
		return nil, err
	}
	object.Body = &body{object.Body, ctx, o.bytes}
	return object, nil
}

func (o *objects) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (_ backend.Info, err error) {
	ctx, end := o.start(ctx, "objects.put", key)
	defer func() { end(err) }()
	info, err := o.inner.Put(ctx, key, content, opts)
	if err == nil {
		o.bytes.Add(ctx, content.Size(), writeAttribute)
	}
	return info, err
}

func (o *objects) Append(ctx context.Context, key string, offset int64, data []byte) (_ backend.Info, err error) {
	ctx, end := o.start(ctx, "objects.append", key)
	defer func() { end(err) }()
	info, err := o.inner.Append(ctx, key, offset, data)
	if err == nil {
		o.bytes.Add(ctx, int64(len(data)), writeAttribute)
	}
	return info, err
}

func (o *objects) Stat(ctx context.Context, key string) (_ backend.Info, err error) {
	ctx, end := o.start(ctx, "objects.stat", key)
	defer func() { end(err) }()
	return o.inner.Stat(ctx, key)
}

func (o *objects) Delete(ctx context.Context, key string, opts *backend.DeleteOptions) (err error) {
	ctx, end := o.start(ctx, "objects.delete", key)
	defer func() { end(err) }()
	return o.inner.Delete(ctx, key, opts)
}

// List's span lasts as long as somebody ranges over it.
func (o *objects) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) {
		ctx, end := o.start(ctx, "objects.list", opts.Prefix)
		var last error
		defer func() { end(last) }()
		for info, err := range o.inner.List(ctx, opts) {
			last = err
			if !yield(info, err) {
				return
			}
		}
	}
}

// Changes is the inner store's, with a span; see backend.ChangeFeed for a store
// that has none.
func (o *objects) Changes(ctx context.Context, cursor string, opts *backend.ChangesOptions) (_ backend.Changes, err error) {
	feed, ok := backend.As[backend.ChangeFeed](o.inner)
	if !ok {
		return backend.Changes{Lost: true}, nil
	}
	ctx, end := o.start(ctx, "objects.changes", opts.Prefix)
	defer func() { end(err) }()
	return feed.Changes(ctx, cursor, opts)
}

// body counts what is read.
type body struct {
	io.ReadCloser
	ctx   context.Context //nolint:containedctx // of the request that this is the answer to
	bytes metric.Int64Counter
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.bytes.Add(b.ctx, int64(n), readAttribute)
	}
	return n, err
}

type secrets struct {
	*recorder
	inner backend.Secrets
}

// Secrets makes spans and metrics of the requests to inner; names of secrets
// are in the spans, values never. Errors: ErrInvalid when the meter provider
// refuses an instrument.
func Secrets(inner backend.Secrets, providers Providers) (backend.Secrets, error) {
	r, err := newRecorder(providers)
	if err != nil {
		return nil, err
	}
	return &secrets{r, inner}, nil
}

// Unwrap gives the store inside, for backend.As.
func (s *secrets) Unwrap() any { return s.inner }

func (s *secrets) Set(ctx context.Context, name, value string) (err error) {
	ctx, end := s.start(ctx, "secrets.set", name)
	defer func() { end(err) }()
	return s.inner.Set(ctx, name, value)
}

func (s *secrets) Get(ctx context.Context, name string) (_ string, err error) {
	ctx, end := s.start(ctx, "secrets.get", name)
	defer func() { end(err) }()
	return s.inner.Get(ctx, name)
}

func (s *secrets) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		ctx, end := s.start(ctx, "secrets.list", "")
		var last error
		defer func() { end(last) }()
		for name, err := range s.inner.List(ctx) {
			last = err
			if !yield(name, err) {
				return
			}
		}
	}
}

func (s *secrets) Delete(ctx context.Context, name string) (err error) {
	ctx, end := s.start(ctx, "secrets.delete", name)
	defer func() { end(err) }()
	return s.inner.Delete(ctx, name)
}
