package scoring

import (
	"sync/atomic"
	"time"

	"github.com/azml-go/azml/internal/router"
)

// Stats are a deployment's replicas and requests at one moment, and its
// requests since it was started.
type Stats struct {
	router.Stats
	// Requests counts the requests that were answered or given up.
	Requests int64
	// Failures counts those of them that the service is to blame for: answers
	// of 500 and more but for Refused and Timeouts.
	Failures int64
	// Refused counts those that were answered with 503.
	Refused int64
	// Timeouts counts those that were answered with 504.
	Timeouts int64
	// Mirrored counts the copies that it got of other deployments' requests;
	// they are not among Requests.
	Mirrored int64
	// Dropped counts the copies that it was too busy for.
	Dropped int64
	// Time is how long all requests took together, from the first byte of the
	// body to the answer.
	Time time.Duration
}

type counts struct {
	requests, failures, refused, timeouts, mirrored, dropped, nanos atomic.Int64
}

// Stats counts replicas and requests.
func (d *Deployment) Stats() Stats {
	c := &d.counts
	return Stats{Stats: d.loaded(), Requests: c.requests.Load(), Failures: c.failures.Load(), Refused: c.refused.Load(),
		Timeouts: c.timeouts.Load(), Mirrored: c.mirrored.Load(), Dropped: c.dropped.Load(), Time: time.Duration(c.nanos.Load())}
}

// count notes how a request was answered.
func (d *Deployment) count(status int, took time.Duration) {
	c := &d.counts
	c.requests.Add(1)
	c.nanos.Add(int64(took))
	switch {
	case status == 503:
		c.refused.Add(1)
	case status == 504:
		c.timeouts.Add(1)
	case status >= 500:
		c.failures.Add(1)
	}
}
