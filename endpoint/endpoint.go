package endpoint

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// State is the state of an endpoint.
type State string

// The states of an endpoint, by Azure ML's names for web services.
const (
	// StateTransitioning says that it is being started.
	StateTransitioning = State(record.EndpointTransitioning)
	// StateHealthy says that it answers.
	StateHealthy = State(record.EndpointHealthy)
	// StateUnhealthy says that the process that served it is gone.
	StateUnhealthy = State(record.EndpointUnhealthy)
	// StateFailed says that it could not be started.
	StateFailed = State(record.EndpointFailed)
	// StateStopped says that nobody serves it.
	StateStopped = State(record.EndpointStopped)
)

// Endpoint is an endpoint. It holds the records as they were last read; Refresh
// reads them again. It is safe for concurrent use.
type Endpoint struct {
	h core.Handle

	mu     sync.Mutex
	stored core.Stored[record.Endpoint]
	hosts  []record.EndpointHost
	read   time.Time // when both were read again, by this process's clock
	seen   time.Time // when hosts was read, by the workspace's clock
	secret string    // key or token for Invoke, as it was last read
	until  time.Time // how long secret is good
	host   *host     // set when this object's process serves it
	awaits []string  // the IDs of what AwaitDeployed waits for, nil for what the record has
}

func wrap(h core.Handle, stored core.Stored[record.Endpoint], hosts []record.EndpointHost) *Endpoint {
	return &Endpoint{h: h, stored: stored, hosts: hosts, seen: h.Now()}
}

// Details is what an endpoint's records say.
type Details struct {
	// Name is the endpoint's name.
	Name string `json:"name"`
	// State is where it is.
	State State `json:"state"`
	// Since is when State began; zero when that is not known.
	Since time.Time `json:"stateSince,omitzero"`
	// Error says why it is Failed or Unhealthy, or why the last change failed.
	Error string `json:"error,omitempty"`
	// Warning says which requests are refused though it is Healthy: all, when nothing is
	// deployed, or those that name no deployment, when none has traffic.
	Warning string `json:"warning,omitempty"`
	// ScoringURI is where to send requests; empty when it is not served.
	ScoringURI string `json:"scoringUri,omitempty"`
	// SwaggerURI is where it describes itself; empty when it is not served.
	SwaggerURI string `json:"swaggerUri,omitempty"`
	// GRPC is the address, host:port, where it answers the Open Inference Protocol over
	// gRPC; empty when it does not.
	GRPC string `json:"grpc,omitempty"`
	// ComputeType is "Local".
	ComputeType string `json:"computeType"`
	// Auth is what a request needs.
	Auth Auth `json:"auth"`
	// Current is what is served, nil when nothing ever was.
	Current *Revision `json:"current,omitempty"`
	// Candidate is what is being started and tried, nil when nothing is.
	Candidate *Revision `json:"candidate,omitempty"`
	// Hosts are the processes that serve it, the longest first.
	Hosts []Host `json:"hosts,omitempty"`
	// Models are the IDs of the models of Current and Candidate.
	Models []string `json:"models,omitempty"`
	// CORSOrigins are the web origins whose pages may call it.
	CORSOrigins []string `json:"corsOrigins,omitempty"`
	// MaxBody is the largest body of a request in bytes, 0 for 100 MiB.
	MaxBody int64 `json:"maxBodyBytes,omitempty"`
	// Description is free text.
	Description string `json:"description,omitempty"`
	// Tags are free labels.
	Tags map[string]string `json:"tags,omitempty"`
	// Created is when it was made.
	Created time.Time `json:"createdTime"`
	// Updated is when the record last changed.
	Updated time.Time `json:"updatedTime"`
	// CreatedBy is who made it, as user@host.
	CreatedBy string `json:"createdBy"`
}

func (e *Endpoint) record() record.Endpoint {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stored.Value
}

// Name gives the endpoint's name.
func (e *Endpoint) Name() string { return e.record().Name }

// State gives the state as it was last read.
func (e *Endpoint) State() State {
	state, _, _ := e.state()
	return state
}

// Active tells whether a process serves the endpoint or is about to, as it was
// last read.
func (e *Endpoint) Active() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.alive()) > 0
}

// alive gives the processes that serve it. The lock is held.
func (e *Endpoint) alive() []record.EndpointHost {
	return slices.DeleteFunc(slices.Clone(e.hosts), func(host record.EndpointHost) bool { return e.h.HostGoneSince(&host, e.seen) })
}

// state gives the state, since when, and what is wrong.
func (e *Endpoint) state() (State, time.Time, string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, alive := &e.stored.Value, e.alive()
	wrong := ""
	if r.Failure != nil {
		wrong = r.Failure.Error
	}
	for _, state := range []string{record.EndpointHealthy, record.EndpointTransitioning, record.EndpointUnhealthy} {
		for _, host := range alive {
			if host.State == state {
				if host.Error != "" {
					wrong = host.Error
				}
				return State(state), host.Since, wrong
			}
		}
	}
	switch {
	case len(e.hosts) > 0:
		last := e.hosts[len(e.hosts)-1]
		return StateUnhealthy, last.Modified, fmt.Sprintf("the process that served it (pid %d on %s) has ended", last.Owner.PID, last.Owner.Host)
	case r.Failure != nil:
		return StateFailed, r.Failure.At, wrong
	}
	return StateStopped, r.Modified, ""
}

// URL gives the address of the service, such as "http://127.0.0.1:40123", the
// first one when several processes serve it, or this process's when this object
// was made by serving it; empty when it is not served.
func (e *Endpoint) URL() string {
	if urls := e.urls(); len(urls) > 0 {
		return urls[0]
	}
	return ""
}

// urls gives where it is served.
func (e *Endpoint) urls() []string {
	return e.addresses(func(host record.EndpointHost) string { return host.URL })
}

// addresses gives those of the processes that have one, this process's first.
func (e *Endpoint) addresses(of func(record.EndpointHost) string) (all []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, host := range e.alive() {
		switch address := of(host); {
		case address == "":
		case e.host != nil && e.host.is(host.ID): // this very process
			all = slices.Insert(all, 0, address)
		default:
			all = append(all, address)
		}
	}
	return all
}

// warning says which requests are refused though somebody serves the endpoint.
func warning(r *record.EndpointRevision) string {
	switch {
	case r == nil || len(r.Deployments) == 0:
		return "nothing is deployed, so every request is refused"
	case len(r.Traffic) == 0:
		return "no deployment has traffic, so requests that name none are refused"
	}
	return ""
}

// ScoringURI gives the address to send requests to; empty when it is not
// served.
func (e *Endpoint) ScoringURI() string { return below(e.URL(), "/score") }

func below(url, path string) string {
	if url == "" {
		return ""
	}
	return url + path
}

// Details gives a copy of the records as they were last read.
func (e *Endpoint) Details() Details {
	r, url := e.record(), e.URL()
	d := Details{Name: r.Name, ScoringURI: below(url, "/score"), SwaggerURI: below(url, "/swagger.json"), ComputeType: "Local",
		Auth: Auth(r.Auth), Current: details(r.Current), Candidate: details(r.Candidate), Models: r.Models(),
		CORSOrigins: slices.Clone(r.CORSOrigins), MaxBody: r.MaxBody, Description: r.Description, Tags: maps.Clone(r.Tags),
		Created: r.Created, Updated: r.Modified, CreatedBy: r.CreatedBy}
	d.State, d.Since, d.Error = e.state()
	if d.State == StateHealthy {
		d.Warning = warning(r.Current)
	}
	if grpc := e.addresses(func(host record.EndpointHost) string { return host.GRPC }); len(grpc) > 0 {
		d.GRPC = grpc[0]
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, host := range e.hosts {
		one := hostDetails(e.h, host)
		one.Error = cmp.Or(one.Error, e.declines(&host))
		d.Hosts = append(d.Hosts, one)
	}
	return d
}

// Refresh reads the records again. Errors: ErrNotFound when it was deleted.
func (e *Endpoint) Refresh(ctx context.Context) error {
	now, err := NewClient(e.h).Get(ctx, e.Name(), nil)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stored, e.hosts, e.seen, e.read = now.stored, now.hosts, now.seen, time.Now()
	return nil
}

func (e *Endpoint) keep(stored core.Stored[record.Endpoint]) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stored, e.awaits = stored, nil
}

// Update says what to change about an endpoint; zero fields leave things as they
// are. What it serves is changed by deploying.
type Update struct {
	// Description replaces the description, unless it is nil.
	Description *string
	// SetTags adds tags or replaces their values.
	SetTags map[string]string
	// RemoveTags removes tags; missing ones are passed over.
	RemoveTags []string
	// Auth replaces what a request needs.
	Auth Auth
	// CORSOrigins replaces the web origins that may call it, unless it is nil.
	CORSOrigins []string
	// MaxBody replaces the largest body of a request.
	MaxBody int64
}

// Update changes an endpoint's own settings in one write, also while it is
// served: who serves it follows within a second. Errors: ErrInvalid,
// ErrNotFound.
func (e *Endpoint) Update(ctx context.Context, change Update) (err error) {
	defer e.h.Operation(&ctx, &err, "update", kind, e.Name())()
	stored, err := core.Update(ctx, e.h, ref(e.Name()), core.Updated("settings"), func(r *record.Endpoint) error {
		return change.apply(r)
	})
	if err == nil {
		e.keep(stored)
	}
	return err
}

// apply makes the change to a record.
func (u *Update) apply(r *record.Endpoint) error {
	s := Settings{Auth: Auth(r.Auth), CORSOrigins: r.CORSOrigins, MaxBody: r.MaxBody, Description: r.Description,
		Tags: core.ChangeLabels(r.Tags, u.SetTags, u.RemoveTags)}
	if u.Description != nil {
		s.Description = *u.Description
	}
	if u.Auth != "" {
		s.Auth = u.Auth
	}
	if u.CORSOrigins != nil {
		s.CORSOrigins = u.CORSOrigins
	}
	if u.MaxBody != 0 {
		s.MaxBody = u.MaxBody
	}
	if err := s.check(); err != nil {
		return err
	}
	s.fill(r)
	return nil
}

// LogsOptions are the options of Endpoint.Logs.
type LogsOptions struct {
	// Requests opens the log of requests, one JSON object a line, instead of that of the
	// service; docs/format.md has its fields.
	Requests bool
	// Follow goes on with what is written later, until nobody serves the endpoint.
	Follow bool
}

// Logs opens the endpoint's log: starts and stops, failures, and what the
// scoring scripts print; or the log of its requests. The lines of several processes come
// by their time; one that says none stays behind that of its process before it. Each process keeps its last 64 MiB of either. The
// caller closes it. Errors: ErrNotFound when it was never served, or got no request.
func (e *Endpoint) Logs(ctx context.Context, opts *LogsOptions) (_ io.ReadCloser, err error) {
	defer e.h.Operation(&ctx, &err, "open log of", kind, e.Name())()
	if opts == nil {
		opts = &LogsOptions{}
	}
	which := serviceLog
	if opts.Requests {
		which = requestLog
	}
	return openLogs(ctx, e.h, e.Name(), which, opts.Follow)
}

// Stop ends the serving of the endpoint, in whatever processes; the record stays
// and it can be served again. It returns when they have ended: other
// processes see within a second that they have to, and are waited for 10
// seconds at most. Errors: ErrNotFound.
func (e *Endpoint) Stop(ctx context.Context) (err error) {
	defer e.h.Operation(&ctx, &err, "stop", kind, e.Name())()
	c := NewClient(e.h)
	r := e.record()
	hosts, err := c.hostsOf(ctx, &r)
	if err != nil {
		return err
	}
	stored, err := core.Update(ctx, e.h, ref(e.Name()), core.Updated("stopped"), func(r *record.Endpoint) error {
		if r.Stopped && r.Failure == nil && len(hosts) == 0 {
			return core.ErrNoChange
		}
		r.Stopped, r.Failure = true, nil
		r.Stops++
		return nil
	})
	if err != nil {
		return err
	}
	e.mu.Lock()
	host := e.host
	e.mu.Unlock()
	if host != nil {
		host.nudge()
	}
	if _, err := c.awaitEnd(ctx, &stored.Value); err != nil {
		return err
	}
	e.keep(stored)
	return e.Refresh(ctx)
}
