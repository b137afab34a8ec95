package telemetry

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/azml-go/azml"
)

// Deployment are the numbers of a deployment that an endpoint serves in this
// process, at one moment. All counts are since it was started.
type Deployment struct {
	// Name is the deployment's name.
	Name string
	// Replicas counts its replicas, Ready those that can take requests, Busy those
	// that have some, and Queued the requests that wait for one.
	Replicas, Ready, Busy, Queued int
	// Requests counts all requests; Failures, Refused and Timeouts those that were
	// answered with 500 and more, 503 and 504.
	Requests, Failures, Refused, Timeouts int64
	// Mirrored counts the copies of requests that it got, Dropped those that it was
	// too busy for.
	Mirrored, Dropped int64
	// Collected counts the rows that were collected, CollectDropped those that were
	// not for want of room.
	Collected, CollectDropped int64
	// Seconds is how long all requests took together.
	Seconds float64
}

// observed is a metric of deployments.
type observed struct {
	name, unit, text string
	gauge            bool
	value            func(d *Deployment) float64
	attribute        string // the value of azml.deployment.state or the like
}

// deploymentMetrics are listed in docs/telemetry.md.
var deploymentMetrics = []observed{
	{"azml.endpoint.replicas", "{replica}", "Replicas of a deployment.", true, func(d *Deployment) float64 { return float64(d.Replicas) }, "all"},
	{"azml.endpoint.replicas", "", "", true, func(d *Deployment) float64 { return float64(d.Ready) }, "ready"},
	{"azml.endpoint.replicas", "", "", true, func(d *Deployment) float64 { return float64(d.Busy) }, "busy"},
	{"azml.endpoint.queued", "{request}", "Requests that wait for a replica.", true, func(d *Deployment) float64 { return float64(d.Queued) }, ""},
	{"azml.endpoint.requests", "{request}", "Requests to a deployment, by how they were answered.", false,
		func(d *Deployment) float64 { return float64(d.Requests - d.Failures - d.Refused - d.Timeouts) }, "answered"},
	{"azml.endpoint.requests", "", "", false, func(d *Deployment) float64 { return float64(d.Failures) }, "failed"},
	{"azml.endpoint.requests", "", "", false, func(d *Deployment) float64 { return float64(d.Refused) }, "refused"},
	{"azml.endpoint.requests", "", "", false, func(d *Deployment) float64 { return float64(d.Timeouts) }, "timed out"},
	{"azml.endpoint.request.time", "s", "How long all requests to a deployment took together.", false, func(d *Deployment) float64 { return d.Seconds }, ""},
	{"azml.endpoint.copies", "{request}", "Copies of requests to other deployments.", false, func(d *Deployment) float64 { return float64(d.Mirrored) }, "scored"},
	{"azml.endpoint.copies", "", "", false, func(d *Deployment) float64 { return float64(d.Dropped) }, "dropped"},
	{"azml.endpoint.collected", "{row}", "Rows, or sets of rows, of collected data.", false, func(d *Deployment) float64 { return float64(d.Collected) }, "kept"},
	{"azml.endpoint.collected", "", "", false, func(d *Deployment) float64 { return float64(d.CollectDropped) }, "dropped"},
}

// Deployments has the numbers of an endpoint's deployments asked for whenever
// metrics are read, which costs a request nothing. The function that it gives
// ends that. Errors: ErrInvalid when the meter provider refuses an instrument.
func (r *Recorder) Deployments(endpoint string, now func() []Deployment) (stop func() error, err error) {
	meter := r.meters.Meter(Scope)
	instruments := map[string]metric.Float64Observable{}
	var all []metric.Observable
	for _, m := range deploymentMetrics {
		if instruments[m.name] != nil {
			continue
		}
		var one metric.Float64Observable
		if m.gauge {
			one, err = meter.Float64ObservableGauge(m.name, metric.WithUnit(m.unit), metric.WithDescription(m.text))
		} else {
			one, err = meter.Float64ObservableCounter(m.name, metric.WithUnit(m.unit), metric.WithDescription(m.text))
		}
		if err != nil {
			return nil, fmt.Errorf("%w: meter provider: %w", azml.ErrInvalid, err)
		}
		instruments[m.name], all = one, append(all, one)
	}
	registration, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for _, d := range now() {
			for _, m := range deploymentMetrics {
				o.ObserveFloat64(instruments[m.name], m.value(&d), metric.WithAttributes(m.attributes(endpoint, d.Name)...))
			}
		}
		return nil
	}, all...)
	if err != nil {
		return nil, fmt.Errorf("%w: meter provider: %w", azml.ErrInvalid, err)
	}
	return registration.Unregister, nil
}

func (m *observed) attributes(endpoint, deployment string) []attribute.KeyValue {
	what := []attribute.KeyValue{attribute.String("azml.endpoint", endpoint), attribute.String("azml.deployment", deployment)}
	if m.attribute != "" {
		what = append(what, attribute.String("azml.state", m.attribute))
	}
	return what
}
