package telemetry

import (
	"context"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// traffic counts the bytes of bodies that an endpoint reads and writes, which costs a request
// two additions.
type traffic struct {
	received, sent atomic.Int64

	_ [48]byte // the rest of a cache line, which nobody else then takes away from who adds
}

// add counts a request.
func (t *traffic) add(received, sent int64) {
	t.received.Add(received)
	t.sent.Add(sent)
}

// traffics are those of a process by their endpoints, "" for servers. They are never dropped: an
// endpoint that is served again goes on counting, for sums must not go back.
type traffics struct {
	mu sync.Mutex
	of map[string]*traffic // nil until the first one, which has them asked for
}

// traffic gives the one of an endpoint.
func (r *Recorder) traffic(endpoint string) *traffic {
	r.traffics.mu.Lock()
	defer r.traffics.mu.Unlock()
	if r.traffics.of == nil {
		r.traffics.of = map[string]*traffic{}
		if err := r.traffics.observe(r.meters.Meter(Scope)); err != nil {
			otel.Handle(err) // as instrumentation does: what is served goes on without it
		}
	}
	if r.traffics.of[endpoint] == nil {
		r.traffics.of[endpoint] = &traffic{}
	}
	return r.traffics.of[endpoint]
}

// observe has the sums asked for whenever metrics are read, as long as the provider lives.
func (t *traffics) observe(meter metric.Meter) error {
	io, err := meter.Int64ObservableCounter("azml.server.io", metric.WithUnit("By"),
		metric.WithDescription("Bytes of bodies that endpoints and servers of this process read and wrote."))
	if err != nil {
		return err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		t.mu.Lock()
		defer t.mu.Unlock()
		for endpoint, sums := range t.of {
			o.ObserveInt64(io, sums.received.Load(), trafficAttributes(endpoint, semconv.NetworkIODirectionReceive))
			o.ObserveInt64(io, sums.sent.Load(), trafficAttributes(endpoint, semconv.NetworkIODirectionTransmit))
		}
		return nil
	}, io)
	return err
}

func trafficAttributes(endpoint string, direction attribute.KeyValue) metric.ObserveOption {
	if endpoint == "" {
		return metric.WithAttributes(direction)
	}
	return metric.WithAttributes(direction, attribute.String("azml.endpoint", endpoint))
}
