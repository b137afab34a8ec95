package endpoint

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/router"
	"github.com/azml-go/azml/internal/snapshot"
)

// MainDeployment is the name of a deployment that is given none.
const MainDeployment = "main"

// DeployOptions are the options of Client.Deploy and Client.Propose.
type DeployOptions struct {
	// Deployment is the deployment's name, by the rule for endpoints;
	// MainDeployment when empty.
	Deployment string
	// Traffic is its share of the requests in percent, which it takes from the
	// others in proportion. nil leaves the traffic as it is; the first
	// deployment gets all.
	Traffic *int
	// Overwrite replaces a deployment of that name while it is served. Otherwise
	// that is ErrExists.
	Overwrite bool
	// Settings are the endpoint's own. Of an endpoint that is there they replace those
	// which are not zero here, and add tags; see Endpoint.Update.
	Settings *Settings
	// PrimaryKey is the primary key, 8 to 1,024 characters of ASCII without spaces; when
	// empty the one that there is, or a random one.
	PrimaryKey string
	// SecondaryKey is the secondary key, likewise, which must be another.
	SecondaryKey string
	// Serve says how this process serves the endpoint; it goes on as it is when it does so
	// already. Client.Propose only holds that it can be done so, for who serves it next.
	Serve *ServeOptions
	// Progress is called with what is being done, by the goroutine of the call;
	// nil for none.
	Progress func(phase string)
}

func (o *DeployOptions) say(phase string) {
	if o.Progress != nil {
		o.Progress(phase)
	}
}

// Deploy makes a deployment of an endpoint, which is made when it is not there,
// and serves the endpoint in this process, unless that does so already. What is
// deployed is started, and its sample request tried, before it gets traffic;
// until then, and when that fails, what was served before goes on. The error then says in
// which phase it failed and why, with the last log lines, and the record says
// so. It returns when the deployment answers; it is served until Stop, Delete or the
// closing of the workspace. Errors: ErrInvalid, ErrExists when that deployment
// is being served, ErrNotFound for a deleted model, ErrFailed, ErrConflict when
// another change has taken its place.
func (c *Client) Deploy(ctx context.Context, name string, config Config, opts *DeployOptions) (_ *Endpoint, err error) {
	defer c.h.Operation(&ctx, &err, "deploy", kind, name)()
	if opts == nil {
		opts = &DeployOptions{}
	}
	hosts, err := ownHosts(c.h)
	if err != nil {
		return nil, err
	}
	e, err := c.propose(ctx, name, config, opts, hosts)
	if err != nil {
		return nil, err
	}
	host := hosts.of(name)
	if host == nil {
		host, err = c.serve(ctx, name, opts.Serve)
		if other := hosts.of(name); errors.Is(err, azml.ErrConflict) && other != nil {
			host, err = other, nil // another call was faster
		}
		if err != nil {
			return nil, err
		}
	}
	host.nudge()
	e.host = host
	return e, e.await(ctx, opts.say)
}

// Propose is Deploy without serving: the deployment is stored, to be started and
// tried by whoever serves the endpoint now or next. AwaitDeployed waits for
// that. A Go function can't be proposed to other processes. Errors: as Deploy.
func (c *Client) Propose(ctx context.Context, name string, config Config, opts *DeployOptions) (_ *Endpoint, err error) {
	defer c.h.Operation(&ctx, &err, "propose deployment of", kind, name)()
	if opts == nil {
		opts = &DeployOptions{}
	}
	hosts, err := ownHosts(c.h)
	if err != nil {
		return nil, err
	}
	return c.propose(ctx, name, config, opts, hosts)
}

// propose stores the deployment.
func (c *Client) propose(ctx context.Context, name string, config Config, opts *DeployOptions, hosts *hosts) (*Endpoint, error) {
	draft, err := newRecord(name, opts.Settings)
	if err != nil {
		return nil, err
	}
	if opts.Serve != nil {
		if err := opts.Serve.check(opts.Settings); err != nil {
			return nil, err
		}
	}
	d := record.EndpointDeployment{Name: opts.Deployment, ID: core.NewID(8), Deployed: c.h.Now()}
	if d.Name == "" {
		d.Name = MainDeployment
	}
	if err := core.DeploymentName.Check(d.Name); err != nil {
		return nil, err
	}
	config.complete()
	if err := config.check(); err != nil {
		return nil, err
	}
	if config.Collect != nil {
		if _, err := datastore.Lookup(ctx, c.h, config.Collect.Datastore); err != nil {
			return nil, fmt.Errorf("datastore of collected data: %w", err)
		}
	}
	config.fill(&d)
	if err := c.checkKeys(ctx, name, Keys{opts.PrimaryKey, opts.SecondaryKey}); err != nil {
		return nil, err
	}
	seen, err := c.checkFree(ctx, name, d.Name, opts)
	if err != nil {
		return nil, err
	}
	opts.say("storing the deployment")
	if d.Kind == kindModel {
		err = c.prepareModel(ctx, &config, &d)
	} else {
		err = c.prepareScript(ctx, config.Script, &d)
	}
	if err != nil {
		return nil, err
	}
	c.findSample(ctx, &config, &d)
	hosts.keep(d.ID, config)
	stored, err := c.put(ctx, draft, d, seen, opts)
	if err != nil {
		return nil, err
	}
	if err := c.setKeys(ctx, &stored.Value, Keys{opts.PrimaryKey, opts.SecondaryKey}); err != nil {
		return nil, err
	}
	e := wrap(c.h, stored, nil)
	e.awaits = []string{d.ID}
	return e, nil
}

// checkFree gives an error when a deployment of that name is being served and
// must not be replaced, before anything is done; else the ID of the one that may be.
func (c *Client) checkFree(ctx context.Context, name, deployment string, opts *DeployOptions) (seen string, err error) {
	there, err := c.Get(ctx, name, nil)
	if errors.Is(err, azml.ErrNotFound) {
		return "", nil
	}
	if err != nil || opts.Overwrite {
		return "", err
	}
	now := base(&there.stored.Value)
	d := now.Deployment(deployment)
	switch {
	case d == nil:
		return "", nil
	case there.Active():
		return "", fmt.Errorf("%w: its deployment %q is being served: deploy with Overwrite, or under another name", azml.ErrExists, deployment)
	}
	return d.ID, nil
}

// put creates the record, or adds the deployment to one that is there. It replaces the
// one that was seen, and no other without Overwrite.
func (c *Client) put(ctx context.Context, draft record.Endpoint, d record.EndpointDeployment, seen string, opts *DeployOptions) (core.Stored[record.Endpoint], error) {
	add := func(r *record.Endpoint) error {
		next := base(r)
		if there := next.Deployment(d.Name); there != nil && there.ID != seen && !opts.Overwrite {
			return fmt.Errorf("%w: somebody else has just deployed %q: deploy with Overwrite, or under another name", azml.ErrExists, d.Name)
		}
		if err := addDeployment(&next, d, opts.Traffic); err != nil {
			return err
		}
		return propose(c.h, r, next, "deployment "+d.Name)
	}
	alone := add(&draft)
	if alone == nil {
		stored, err := core.Create(ctx, c.h, ref(draft.Name), draft)
		if !errors.Is(err, azml.ErrExists) {
			return stored, err
		}
	}
	stored, err := core.Update(ctx, c.h, ref(draft.Name), core.Updated("deployment "+d.Name), func(r *record.Endpoint) error {
		if opts.Settings != nil {
			if err := opts.Settings.update().apply(r); err != nil {
				return err
			}
		}
		r.KeyVersion++
		return add(r)
	})
	if errors.Is(err, azml.ErrNotFound) && alone != nil {
		err = alone // the first deployment can't be like that
	}
	return stored, err
}

// addDeployment adds a deployment, or replaces the one of its name, and gives it
// its share of the traffic.
func addDeployment(next *record.EndpointRevision, d record.EndpointDeployment, share *int) error {
	first := len(next.Deployments) == 0
	next.Deployments = slices.DeleteFunc(next.Deployments, func(other record.EndpointDeployment) bool { return other.Name == d.Name })
	next.Deployments = append(next.Deployments, d)
	slices.SortFunc(next.Deployments, func(a, b record.EndpointDeployment) int { return strings.Compare(a.Name, b.Name) })
	if first && share == nil {
		next.Traffic[d.Name] = whole
	}
	if share == nil {
		return nil
	}
	if err := router.CheckShare(d.Name, *share, "traffic"); err != nil {
		return err
	}
	return giveShare(next, d.Name, *share)
}

// whole is all traffic, in percent.
const whole = 100

// giveShare gives a deployment its share and leaves the others the rest, in
// proportion to what they had.
func giveShare(next *record.EndpointRevision, name string, share int) error {
	delete(next.Traffic, name)
	had := 0
	for _, n := range next.Traffic {
		had += n
	}
	rest := whole - share
	if had == 0 && rest != 0 && share != 0 {
		return fmt.Errorf("%w: no other deployment has traffic, so %q gets all of it or none", azml.ErrInvalid, name)
	}
	if had > 0 {
		shareOut(next, rest)
	}
	next.Traffic[name] = share
	return nil
}

// shareOut gives those that have traffic so much of it, in proportion to what they have.
func shareOut(next *record.EndpointRevision, all int) {
	had := 0
	for _, n := range next.Traffic {
		had += n
	}
	left, largest := all, ""
	for _, d := range next.Deployments {
		if n := next.Traffic[d.Name]; n > 0 {
			next.Traffic[d.Name] = n * all / had
			left -= next.Traffic[d.Name]
			if largest == "" || next.Traffic[d.Name] > next.Traffic[largest] {
				largest = d.Name
			}
		}
	}
	next.Traffic[largest] += left
}

// prepareScript checks a scoring script and keeps its folder and environment.
func (c *Client) prepareScript(ctx context.Context, s *Script, d *record.EndpointDeployment) error {
	if s == nil {
		return nil
	}
	entry := path.Clean(filepath.ToSlash(s.EntryScript))
	if !filepath.IsLocal(filepath.FromSlash(entry)) || !strings.HasSuffix(entry, ".py") {
		return fmt.Errorf("%w: entry script %q: give a Python file relative to the source folder, inside it", azml.ErrInvalid, s.EntryScript)
	}
	source := s.Source
	if source == "" {
		source = "."
	}
	if info, err := os.Stat(filepath.Join(source, filepath.FromSlash(entry))); err != nil {
		return fmt.Errorf("entry script %q in source folder %q: %w", s.EntryScript, source, err)
	} else if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: entry script %q is no file", azml.ErrInvalid, s.EntryScript)
	}
	plan, err := snapshot.Scan(ctx, source, &snapshot.Options{Require: []string{entry}, Exclude: c.h.Private()})
	if err != nil {
		return err
	}
	// After all else was checked, for it may register the environment.
	if d.Environment, err = c.environment(ctx, s.Environment); err != nil {
		return err
	}
	if d.Source, _, _, err = snapshot.Take(ctx, c.h.Files(), plan, nil); err != nil {
		return err
	}
	d.EntryScript = entry
	return nil
}

// environment gives the environment of a script, which sets no variable that the endpoint
// does. It may register it.
func (c *Client) environment(ctx context.Context, spec environment.Spec) (*record.EnvironmentRef, error) {
	if err := refuseOwn(spec.Variables); err != nil {
		return nil, fmt.Errorf("the script's environment: %w", err)
	}
	env, err := environment.Resolve(ctx, c.h, spec, true)
	if err != nil {
		return nil, err
	}
	if err := refuseOwn(env.Spec().Variables); err != nil { // of one that was named
		return nil, fmt.Errorf("environment %s: %w", env.ID(), err)
	}
	return &record.EnvironmentRef{Name: env.Name(), Version: env.Version(), Hash: env.Hash()}, nil
}

// AwaitOptions are the options of Endpoint.AwaitDeployed.
type AwaitOptions struct {
	// Progress is called with what is being done, whenever that changes; nil for
	// none.
	Progress func(phase string)
}

// awaitEvery is how often is looked whether a deployment was tried.
const (
	awaitEvery = 50 * time.Millisecond
	awaitMost  = time.Second
)

// AwaitDeployed waits until what was deployed with this object, or what it knows to be
// tried otherwise, such as a rollback, is served, or has failed. Of an endpoint that nobody has served since it was
// stopped or made, it waits for a process that does. Errors: ErrFailed with phase, exception and last log lines; ErrConflict
// when another change has taken its place; ErrUnavailable when those who served the endpoint are gone, or all who serve
// it lack what is new needs, such as a Runtime, and nobody else has come within ten seconds: what was deployed is kept; ErrNotFound.
func (e *Endpoint) AwaitDeployed(ctx context.Context, opts *AwaitOptions) (err error) {
	defer e.h.Operation(&ctx, &err, "wait for", kind, e.Name())()
	say := func(string) {}
	if opts != nil && opts.Progress != nil {
		say = opts.Progress
	}
	return e.await(ctx, say)
}

func (e *Endpoint) await(ctx context.Context, say func(string)) error {
	ids, said := e.awaited(), ""
	var watch absence
	for pause := awaitEvery; ; pause = min(pause*5/4, awaitMost) {
		if err := e.Refresh(ctx); err != nil {
			return err
		}
		if r := e.record(); !slices.ContainsFunc(ids, r.Tries) {
			return verdict(&r, ids)
		}
		if watch.lasts(e) {
			return e.abandoned()
		}
		if phase := e.phase(); phase != said {
			said = phase
			say(phase)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// returnTime is how long those who serve an endpoint may be away before nobody waits for
// them any more: who is started anew is back by then.
const returnTime = 10 * time.Second

// absence notices that nobody is there who could try what is new.
type absence struct {
	served bool      // somebody has served the endpoint
	since  time.Time // when nobody could any more; zero while somebody can
}

// lasts looks at the endpoint as it was last read, and tells whether those who served it
// are gone for good, or can't try what is new.
func (a *absence) lasts(e *Endpoint) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	a.served = a.served || len(e.hosts) > 0
	if slices.ContainsFunc(e.alive(), func(host record.EndpointHost) bool { return e.declines(&host) == "" }) {
		a.since = time.Time{}
	} else if a.since.IsZero() {
		a.since = time.Now()
	}
	return a.served && !a.since.IsZero() && time.Since(a.since) >= returnTime
}

// abandoned tells that nobody tries what is new, and what helps.
func (e *Endpoint) abandoned() error {
	if why := e.declined(); why != "" {
		return fmt.Errorf("%w: nobody who serves it can serve what is new: %s; what was deployed is kept, and tried as soon as such a program serves the endpoint", azml.ErrUnavailable, why)
	}
	why := "nobody serves it any more"
	if _, _, wrong := e.state(); wrong != "" {
		why += ": " + wrong
	}
	return fmt.Errorf("%w: %s; what was deployed is kept, and tried as soon as somebody serves it: azml endpoint serve %s", azml.ErrUnavailable, why, e.Name())
}

// declined gives why a process that serves the endpoint can't try what is new.
func (e *Endpoint) declined() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, host := range e.alive() {
		if why := e.declines(&host); why != "" {
			return why
		}
	}
	return ""
}

// declines gives why that process can't try what is new. The lock is held.
func (e *Endpoint) declines(host *record.EndpointHost) string {
	return host.Declines(e.stored.Value.Candidate)
}

// awaited gives the IDs of the deployments that are waited for.
func (e *Endpoint) awaited() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := &e.stored.Value
	if e.awaits != nil || r.Candidate == nil {
		return e.awaits
	}
	var ids []string
	for _, d := range r.Candidate.Deployments {
		if r.Tries(d.ID) {
			ids = append(ids, d.ID)
		}
	}
	return ids
}

// Withdraw takes back what was deployed with this object, unless it is served by now or
// has failed. What others have deployed meanwhile goes on. Errors: ErrNotFound.
func (e *Endpoint) Withdraw(ctx context.Context) (err error) {
	defer e.h.Operation(&ctx, &err, "withdraw deployment of", kind, e.Name())()
	_, err = core.Update(ctx, e.h, ref(e.Name()), core.Updated("deployment withdrawn"), func(r *record.Endpoint) error {
		i := slices.IndexFunc(e.awaits, r.Tries)
		if i < 0 {
			return core.ErrNoChange
		}
		withdraw(r, e.awaits[i])
		return nil
	})
	return err
}

// phase gives what those who serve the endpoint are doing to serve what is new.
func (e *Endpoint) phase() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, host := range e.hosts {
		if host.Phase != "" && !e.h.HostGoneSince(&host, e.seen) {
			return host.Phase
		}
	}
	return "waiting for a process that serves the endpoint"
}

// verdict tells how the trial of these deployments ended.
func verdict(r *record.Endpoint, ids []string) error {
	for _, id := range ids {
		if r.Current.Has(id) { // also when it failed before: a rollback tries it again
			continue
		}
		for _, failed := range slices.Backward(r.Failed) {
			if failed.Deployment == id {
				return fmt.Errorf("%w: %s", azml.ErrFailed, failed.Error)
			}
		}
		if !slices.ContainsFunc(r.Revisions(), func(revision *record.EndpointRevision) bool { return revision.Has(id) }) {
			return fmt.Errorf("%w: another change has taken its place", azml.ErrConflict)
		}
	}
	return nil
}
