package endpoint

import (
	"time"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// Host is a process that serves an endpoint, as it told last: it does so at
// every change, and every ten seconds.
type Host struct {
	// ID is random.
	ID string `json:"id"`
	// Machine is the name of its machine.
	Machine string `json:"machine"`
	// PID is its process ID there.
	PID int `json:"pid"`
	// State is Transitioning, Healthy or Unhealthy.
	State State `json:"state"`
	// Since is when State began.
	Since time.Time `json:"since"`
	// Told is when the process told this.
	Told time.Time `json:"told"`
	// URL is where it serves; empty when it does not yet.
	URL string `json:"url,omitempty"`
	// GRPC is the address, host:port, where it serves the Open Inference Protocol over
	// gRPC; empty when it does not.
	GRPC string `json:"grpc,omitempty"`
	// Phase is what it is doing to serve what is new; empty when nothing.
	Phase string `json:"phase,omitempty"`
	// Error says why it can't serve what it should, or can't try what is new.
	Error string `json:"error,omitempty"`
	// Revision is the number of the revision that it serves.
	Revision int `json:"revision,omitempty"`
	// Deployments are those that it serves, by name, with their requests.
	Deployments []HostedDeployment `json:"deployments,omitempty"`
}

// HostedDeployment is a deployment in a process that serves it. Counts are since
// it was started there.
type HostedDeployment struct {
	// Name is the deployment's name.
	Name string `json:"name"`
	// ID tells it from others of its name.
	ID string `json:"id"`
	// Replicas counts its replicas.
	Replicas int `json:"replicas"`
	// Ready counts those that can take requests.
	Ready int `json:"ready"`
	// Busy counts those that have some.
	Busy int `json:"busy"`
	// Queued counts the requests that wait for a replica.
	Queued int `json:"queued"`
	// Requests counts all requests.
	Requests int64 `json:"requests"`
	// Failures counts the answers of 500 and more but for 503 and 504, and the copies
	// that failed.
	Failures int64 `json:"failures"`
	// Refused counts the answers 503.
	Refused int64 `json:"refused"`
	// Timeouts counts the answers 504.
	Timeouts int64 `json:"timeouts"`
	// Mirrored counts the copies of other deployments' requests that it got.
	Mirrored int64 `json:"mirrored"`
	// Dropped counts the copies that it was too busy for.
	Dropped int64 `json:"dropped"`
	// Collected counts the rows, or sets of rows, that were collected.
	Collected int64 `json:"collected"`
	// CollectDropped counts those that were dropped: the datastore did not take
	// them fast enough.
	CollectDropped int64 `json:"collectDropped"`
	// MeanMilliseconds is how long a request took on average, waiting included.
	MeanMilliseconds float64 `json:"meanMilliseconds"`
}

func hostDetails(h core.Handle, r record.EndpointHost) Host {
	host := Host{ID: r.ID, Machine: r.Owner.Host, PID: r.Owner.PID, State: State(r.State), Since: r.Since, Told: r.Modified, URL: r.URL, GRPC: r.GRPC,
		Phase: r.Phase, Error: r.Error, Revision: r.Revision}
	if h.HostGone(&r) {
		host.State, host.Phase = StateUnhealthy, ""
	}
	for _, d := range r.Deployments {
		one := HostedDeployment{Name: d.Name, ID: d.ID, Replicas: d.Replicas, Ready: d.Ready, Busy: d.Busy, Queued: d.Queued, Requests: d.Requests,
			Failures: d.Failures, Refused: d.Refused, Timeouts: d.Timeouts, Mirrored: d.Mirrored, Dropped: d.Dropped,
			Collected: d.Collected, CollectDropped: d.CollectDropped}
		if d.Requests > 0 {
			one.MeanMilliseconds = float64(d.Milliseconds) / float64(d.Requests)
		}
		host.Deployments = append(host.Deployments, one)
	}
	return host
}
