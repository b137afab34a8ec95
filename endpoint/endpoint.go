package endpoint

import (
	"context"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
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

// Endpoint is an endpoint. It holds the record as it was last read; Refresh
// reads it again. It is safe for concurrent use.
type Endpoint struct {
	h core.Handle

	mu     sync.Mutex
	stored core.Stored[record.Endpoint]
	read   time.Time // when stored was read, by this process's clock
	keys   Keys      // as they were read last, for Invoke
	host   *host     // set when this object's process serves it
}

func wrap(h core.Handle, stored core.Stored[record.Endpoint]) *Endpoint {
	return &Endpoint{h: h, stored: stored}
}

// Details is what an endpoint's record says.
type Details struct {
	// Name is the endpoint's name.
	Name string `json:"name"`
	// State is where it is.
	State State `json:"state"`
	// Since is when State began.
	Since time.Time `json:"stateSince"`
	// Error says why it is Failed or Unhealthy.
	Error string `json:"error,omitempty"`
	// ScoringURI is where to send requests; empty when it is not served.
	ScoringURI string `json:"scoringUri,omitempty"`
	// SwaggerURI is where it describes itself; empty when it is not served.
	SwaggerURI string `json:"swaggerUri,omitempty"`
	// ComputeType is "Local".
	ComputeType string `json:"computeType"`
	// Kind is "handler" for a Go function, "script" for a scoring script.
	Kind string `json:"kind"`
	// Models are the IDs of the models it serves.
	Models []string `json:"models,omitempty"`
	// EntryScript is the scoring script.
	EntryScript string `json:"entryScript,omitempty"`
	// Environment is the script's environment, as "name:version".
	Environment string `json:"environment,omitempty"`
	// Replicas is the number of processes of a scoring script.
	Replicas int `json:"replicas"`
	// AuthEnabled says that requests need a key.
	AuthEnabled bool `json:"authEnabled"`
	// Description is free text.
	Description string `json:"description,omitempty"`
	// Tags are free labels.
	Tags map[string]string `json:"tags,omitempty"`
	// Created is when it was first deployed.
	Created time.Time `json:"createdTime"`
	// Updated is when the record last changed.
	Updated time.Time `json:"updatedTime"`
	// CreatedBy is who deployed it first, as user@host.
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
func (e *Endpoint) State() State { return State(e.record().State) }

// URL gives the address of the service, such as "http://127.0.0.1:40123";
// empty when it is not served.
func (e *Endpoint) URL() string { return e.record().URL }

// ScoringURI gives the address to send requests to; empty when it is not
// served.
func (e *Endpoint) ScoringURI() string { return below(e.URL(), "/score") }

func below(url, path string) string {
	if url == "" {
		return ""
	}
	return url + path
}

// Details gives a copy of the record as it was last read.
func (e *Endpoint) Details() Details {
	r := e.record()
	d := Details{Name: r.Name, State: State(r.State), Since: r.Since, Error: r.Error, ScoringURI: below(r.URL, "/score"),
		SwaggerURI: below(r.URL, "/swagger.json"), ComputeType: "Local", Kind: r.Kind, Models: slices.Clone(r.Models),
		EntryScript: r.EntryScript, Replicas: r.Replicas, AuthEnabled: !r.AuthDisabled, Description: r.Description,
		Tags: maps.Clone(r.Tags), Created: r.Created, Updated: r.Modified, CreatedBy: r.CreatedBy}
	if r.Environment != nil {
		d.Environment = r.Environment.Name + ":" + r.Environment.Version
	}
	return d
}

// Refresh reads the record again. Errors: ErrNotFound when it was deleted.
func (e *Endpoint) Refresh(ctx context.Context) error {
	now, err := NewClient(e.h).Get(ctx, e.Name(), nil)
	if err != nil {
		return err
	}
	e.keep(now.stored)
	return nil
}

func (e *Endpoint) keep(stored core.Stored[record.Endpoint]) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stored, e.read = stored, time.Now()
}

// Update says what to change about an endpoint; zero fields leave things as they
// are. What it serves is changed by deploying it anew with Overwrite.
type Update struct {
	// Description replaces the description, unless it is nil.
	Description *string
	// SetTags adds tags or replaces their values.
	SetTags map[string]string
	// RemoveTags removes tags; missing ones are passed over.
	RemoveTags []string
}

// Update changes description and tags in one write, also while it is served.
// Errors: ErrInvalid, ErrNotFound.
func (e *Endpoint) Update(ctx context.Context, change Update) (err error) {
	defer e.h.Operation(&ctx, &err, "update", kind, e.Name())()
	stored, err := core.Update(ctx, e.h, ref(e.Name()), core.Updated("description or tags"), func(r *record.Endpoint) error {
		if change.Description != nil {
			r.Description = *change.Description
		}
		r.Tags = core.ChangeLabels(r.Tags, change.SetTags, change.RemoveTags)
		if err := core.CheckText("description", r.Description); err != nil {
			return err
		}
		return core.CheckLabels("tags", r.Tags)
	})
	if err == nil {
		e.keep(stored)
	}
	return err
}

func logKey(name string) string { return core.EndpointPrefix + name + "/logs/service.txt" }

// LogsOptions are the options of Endpoint.Logs.
type LogsOptions struct {
	// Follow goes on with what is written later, until the endpoint is no
	// longer served.
	Follow bool
}

// Logs opens the endpoint's log: starts and stops, requests, and what the
// scoring script prints. The caller closes it. Errors: ErrNotFound when it was
// never served.
func (e *Endpoint) Logs(ctx context.Context, opts *LogsOptions) (_ io.ReadCloser, err error) {
	defer e.h.Operation(&ctx, &err, "open log of", kind, e.Name())()
	var done func() (bool, error)
	if opts != nil && opts.Follow {
		done = func() (bool, error) {
			err := e.Refresh(ctx)
			r := e.record()
			return !r.Active(), err
		}
	}
	return history.OpenLog(ctx, e.h, logKey(e.Name()), done)
}

// Stop ends the serving of the endpoint, in whatever process; the record stays
// and it can be served again. It returns when the service has ended; one of
// another process sees within a second that it has to, and is waited for until
// it takes no more requests, 10 seconds at most. Errors: ErrNotFound.
func (e *Endpoint) Stop(ctx context.Context) (err error) {
	defer e.h.Operation(&ctx, &err, "stop", kind, e.Name())()
	url := ""
	stored, err := core.Update(ctx, e.h, ref(e.Name()), core.Updated("state Stopped"), func(r *record.Endpoint) error {
		if r.State == record.EndpointStopped {
			return core.ErrNoChange
		}
		url = r.URL
		r.State, r.Since, r.Owner, r.URL, r.Error = record.EndpointStopped, e.h.Now(), nil, "", ""
		return nil
	})
	if err != nil {
		return err
	}
	e.awaitEnd(ctx, url)
	e.keep(stored)
	return nil
}
