package endpoint

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/router"
)

// maxHistory is how many revisions are kept that were replaced.
const maxHistory = 20

// maxFailed is how many deployments that failed are kept.
const maxFailed = 10

// base gives a copy of what a change is to be made to: what is being tried, else
// what is served, else nothing.
func base(r *record.Endpoint) record.EndpointRevision {
	from := r.Candidate
	if from == nil {
		from = r.Current
	}
	if from == nil {
		from = &record.EndpointRevision{}
	}
	return copied(from)
}

// copied gives a copy to be changed.
func copied(from *record.EndpointRevision) record.EndpointRevision {
	next := *from
	next.Restores = 0
	next.Deployments = slices.Clone(from.Deployments)
	next.Traffic, next.Mirror = cloned(from.Traffic), cloned(from.Mirror)
	return next
}

func cloned(shares map[string]int) map[string]int {
	if shares == nil {
		return map[string]int{}
	}
	return maps.Clone(shares)
}

// propose makes next what is to be served. It becomes so at once when all its
// deployments are served already, else when somebody has started and tried the new ones.
func propose(h core.Handle, r *record.Endpoint, next record.EndpointRevision, note string) error {
	next.Default = next.DefaultName()
	if err := checkRevision(&next); err != nil {
		return err
	}
	stamp(h, &next, note)
	r.Failure = nil
	if r.Current != nil && !bringsNew(r.Current, &next) {
		r.Candidate = nil
		promote(r, next)
		return nil
	}
	r.Candidate = &next
	return nil
}

// stamp makes next a revision of its own.
func stamp(h core.Handle, next *record.EndpointRevision, note string) {
	next.ID, next.Number, next.Made, next.MadeBy, next.Note = core.NewID(8), 0, h.Now(), h.Who(), note
}

// withdraw takes a deployment out of what is to be served. What else is new goes on
// being tried; when that is nothing, or part of a rollback, which is one change, what is
// served stays as it is.
func withdraw(r *record.Endpoint, id string) {
	next := base(r)
	i := slices.IndexFunc(next.Deployments, func(d record.EndpointDeployment) bool { return d.ID == id })
	name := next.Deployments[i].Name
	if r.Current != nil && r.Current.Deployment(name) != nil {
		next.Deployments[i] = *r.Current.Deployment(name)
	} else {
		next.Deployments = slices.Delete(next.Deployments, i, i+1)
		takeShare(&next, name, r.Current)
	}
	rest := r.Candidate.Restores == 0 && checkRevision(&next) == nil
	if r.Candidate = nil; rest && bringsNew(r.Current, &next) {
		next.ID = core.NewID(8)
		r.Candidate = &next
	}
}

// takeShare gives the others the share of a deployment that is no more: in proportion
// to theirs, else as they have it now, else all to the first.
func takeShare(next *record.EndpointRevision, name string, now *record.EndpointRevision) {
	had := next.Traffic[name]
	delete(next.Traffic, name)
	delete(next.Mirror, name)
	switch {
	case had == 0 || len(next.Deployments) == 0:
	case len(next.Traffic) > 0:
		shareOut(next, whole)
	case now != nil:
		next.Traffic = cloned(now.Traffic)
	default:
		next.Traffic[next.Deployments[0].Name] = whole
	}
}

// bringsNew tells whether next has a deployment that current has not.
func bringsNew(current, next *record.EndpointRevision) bool {
	return slices.ContainsFunc(next.Deployments, func(d record.EndpointDeployment) bool { return !current.Has(d.ID) })
}

// promote makes next the current revision.
func promote(r *record.Endpoint, next record.EndpointRevision) {
	next.Number = 1
	if r.Current != nil {
		next.Number = r.Current.Number + 1
		r.History = append(r.History, *r.Current)
		r.History = r.History[max(0, len(r.History)-maxHistory):]
	}
	r.Current = &next
}

// checkRevision finds what is wrong with deployments and traffic, and drops
// shares of 0.
func checkRevision(next *record.EndpointRevision) error {
	var routes []router.Route[struct{}]
	for _, d := range next.Deployments {
		routes = append(routes, router.Route[struct{}]{Name: d.Name, Percent: next.Traffic[d.Name], Mirror: next.Mirror[d.Name]})
	}
	for _, shares := range []map[string]int{next.Traffic, next.Mirror} {
		for name, share := range shares {
			if next.Deployment(name) == nil && share != 0 {
				return fmt.Errorf("%w: there is no deployment %q, but %s", azml.ErrNotFound, name, names(next))
			}
		}
		maps.DeleteFunc(shares, func(_ string, share int) bool { return share == 0 })
	}
	_, err := router.NewTable(routes)
	return err
}

func names(r *record.EndpointRevision) string {
	var all []string
	for _, d := range r.Deployments {
		all = append(all, d.Name)
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

// change makes a change to what is served, see propose, and to what is to be served, so
// that it holds whatever becomes of that. What is served may lack what it is about.
func (e *Endpoint) change(ctx context.Context, note string, change func(next *record.EndpointRevision) error) error {
	stored, err := core.Update(ctx, e.h, ref(e.Name()), core.Updated(note), func(r *record.Endpoint) error {
		next := base(r)
		if err := change(&next); err != nil {
			return err
		}
		if r.Candidate != nil && r.Current != nil {
			if now := copied(r.Current); change(&now) == nil && checkRevision(&now) == nil {
				stamp(e.h, &now, note)
				promote(r, now)
			}
		}
		return propose(e.h, r, next, note)
	})
	if err == nil {
		e.keep(stored)
	}
	return err
}

// TrafficOptions are the options of Endpoint.SetTraffic.
type TrafficOptions struct {
	// Mirror is, by deployment, the share in percent of the requests to others of
	// which it gets a copy, whose answer is dropped; one deployment at most. nil
	// leaves it as it is.
	Mirror map[string]int
	// Default is the deployment that is the default one from now on; empty leaves it as
	// it is, which at first is the one that was deployed first.
	Default string
}

// SetTraffic sets which share of the requests, in percent, each deployment gets. When
// that is less than 100 together, the default deployment gets the rest, unless it is named;
// what else is not named gets none. All may get 0 when every request
// must name its deployment in the header azureml-model-deployment. The change is seen
// within a second by all who serve the endpoint, and loses no request; when it names a
// deployment that is being tried, it comes into force together with that. nil leaves the traffic as it is. Errors:
// ErrInvalid, ErrNotFound.
func (e *Endpoint) SetTraffic(ctx context.Context, traffic map[string]int, opts *TrafficOptions) (err error) {
	defer e.h.Operation(&ctx, &err, "set traffic of", kind, e.Name())()
	note := "traffic " + shares(traffic)
	if opts != nil && opts.Mirror != nil {
		note += ", copies " + shares(opts.Mirror)
	}
	if opts != nil && opts.Default != "" {
		note += ", " + opts.Default + " is the default"
	}
	for name, share := range traffic {
		if err := router.CheckShare(name, share, "traffic"); err != nil {
			return err
		}
	}
	return e.change(ctx, note, func(next *record.EndpointRevision) error {
		if opts != nil && opts.Default != "" {
			if next.Deployment(opts.Default) == nil {
				return fmt.Errorf("%w: there is no deployment %q, but %s", azml.ErrNotFound, opts.Default, names(next))
			}
			next.Default = opts.Default
		}
		if traffic != nil {
			next.Traffic = maps.Clone(traffic)
			giveRest(next)
		}
		if opts != nil && opts.Mirror != nil {
			next.Mirror = maps.Clone(opts.Mirror)
		}
		return nil
	})
}

// giveRest gives the default deployment what the others leave of the traffic, if they have
// any and it is not named.
func giveRest(next *record.EndpointRevision) {
	given := 0
	for _, share := range next.Traffic {
		given += share
	}
	if _, named := next.Traffic[next.DefaultName()]; !named && given > 0 && given < whole {
		next.Traffic[next.DefaultName()] = whole - given
	}
}

// shares writes shares in the order of the names.
func shares(of map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%s %d %%", name, of[name]))
	}
	return strings.Join(parts, ", ")
}

// RemoveDeployment takes a deployment out of the endpoint. One that has traffic
// can't be removed. Requests that it has are answered. Errors: ErrNotFound,
// ErrConflict.
func (e *Endpoint) RemoveDeployment(ctx context.Context, name string) (err error) {
	defer e.h.Operation(&ctx, &err, "remove deployment from", kind, e.Name())()
	return e.change(ctx, "without "+name, func(next *record.EndpointRevision) error {
		if next.Deployment(name) == nil {
			return fmt.Errorf("%w: there is no deployment %q, but %s", azml.ErrNotFound, name, names(next))
		}
		if share := next.Traffic[name]; share > 0 {
			return fmt.Errorf("%w: deployment %q has %d %% of the traffic: give it to another one first", azml.ErrConflict, name, share)
		}
		next.Deployments = slices.DeleteFunc(next.Deployments, func(d record.EndpointDeployment) bool { return d.Name == name })
		delete(next.Mirror, name)
		return nil
	})
}

// RollbackOptions are the options of Endpoint.Rollback.
type RollbackOptions struct {
	// To is the number of the revision to restore, the one before the current
	// one when zero.
	To int
}

// Rollback makes what an earlier revision served be served again, as a new
// revision. What of it is not served now is started and tried before it gets
// traffic, so no request is lost; AwaitDeployed waits for that. Rolling back again goes one further back. Errors: ErrNotFound
// when there is no such revision.
func (e *Endpoint) Rollback(ctx context.Context, opts *RollbackOptions) (err error) {
	defer e.h.Operation(&ctx, &err, "roll back", kind, e.Name())()
	stored, err := core.Update(ctx, e.h, ref(e.Name()), core.Updated("rollback"), func(r *record.Endpoint) error {
		from, err := earlier(r, opts)
		if err != nil {
			return err
		}
		next := copied(from)
		next.Restores = from.Number
		if from.Restores > 0 {
			next.Restores = from.Restores
		}
		r.Candidate = nil
		return propose(e.h, r, next, fmt.Sprintf("rollback to revision %d", from.Number))
	})
	if err == nil {
		e.keep(stored)
	}
	return err
}

// earlier finds the revision to restore.
func earlier(r *record.Endpoint, opts *RollbackOptions) (*record.EndpointRevision, error) {
	to := 0
	if opts != nil {
		to = opts.To
	}
	if r.Current == nil {
		return nil, fmt.Errorf("%w: nothing was ever served", azml.ErrNotFound)
	}
	before := r.Current.Number
	if r.Current.Restores > 0 {
		before = r.Current.Restores
	}
	for i := len(r.History) - 1; i >= 0; i-- {
		h := &r.History[i]
		if to == 0 && h.Number < before && h.Restores == 0 || to != 0 && h.Number == to {
			return h, nil
		}
	}
	if to != 0 {
		return nil, fmt.Errorf("%w: there is no revision %d to go back to", azml.ErrNotFound, to)
	}
	return nil, fmt.Errorf("%w: there is no revision before %d", azml.ErrNotFound, before)
}

// Revision is what an endpoint serves, served, or is to serve.
type Revision struct {
	// Number counts the revisions from 1; 0 for one that was not served yet.
	Number int `json:"number"`
	// Made is when the change was asked for.
	Made time.Time `json:"made"`
	// MadeBy is who asked for it, as user@host.
	MadeBy string `json:"madeBy"`
	// Note says what was changed.
	Note string `json:"note,omitempty"`
	// Deployments are sorted by name.
	Deployments []DeploymentDetails `json:"deployments"`
}

// DeploymentDetails is what the record says of a deployment.
type DeploymentDetails struct {
	// Name is the deployment's name.
	Name string `json:"name"`
	// ID is random, and tells it from others of its name.
	ID string `json:"id"`
	// Traffic is the share of the requests that it gets, in percent.
	Traffic int `json:"traffic"`
	// Mirror is the share of the requests of which it gets a copy, in percent.
	Mirror int `json:"mirror,omitempty"`
	// Default says that it gets what is left when traffic is given to others.
	Default bool `json:"default,omitempty"`
	// Deployed is when it was deployed.
	Deployed time.Time `json:"deployed"`
	// Kind is "handler" for a Go function, "script" for a scoring script, "model" for a
	// model without one.
	Kind string `json:"kind"`
	// Models are the IDs of the models it serves.
	Models []string `json:"models,omitempty"`
	// EntryScript is the scoring script.
	EntryScript string `json:"entryScript,omitempty"`
	// Server is what runs it.
	Server Server `json:"server,omitempty"`
	// Environment is the script's environment, as "name:version".
	Environment string `json:"environment,omitempty"`
	// MinReplicas is the least number of replicas.
	MinReplicas int `json:"minReplicas"`
	// MaxReplicas is the greatest number of replicas.
	MaxReplicas int `json:"maxReplicas"`
	// Sample is the request that is tried before it gets traffic.
	Sample []byte `json:"sample,omitempty"`
}

func details(r *record.EndpointRevision) *Revision {
	if r == nil {
		return nil
	}
	out := &Revision{Number: r.Number, Made: r.Made, MadeBy: r.MadeBy, Note: r.Note}
	for _, d := range r.Deployments {
		one := DeploymentDetails{Name: d.Name, ID: d.ID, Traffic: r.Traffic[d.Name], Mirror: r.Mirror[d.Name], Default: d.Name == r.DefaultName(), Deployed: d.Deployed, Kind: d.Kind,
			Models: slices.Clone(d.Models), EntryScript: d.EntryScript, Server: Server(d.Server), MinReplicas: d.MinReplicas, MaxReplicas: d.MaxReplicas, Sample: slices.Clone(d.Sample)}
		if d.Environment != nil {
			one.Environment = d.Environment.Name + ":" + d.Environment.Version
		}
		out.Deployments = append(out.Deployments, one)
	}
	return out
}

// Revisions gives what the endpoint served before, the latest first, 20 at most,
// as it was last read.
func (e *Endpoint) Revisions() []Revision {
	r := e.record()
	var all []Revision
	for i := len(r.History) - 1; i >= 0; i-- {
		all = append(all, *details(&r.History[i]))
	}
	return all
}
