package endpoint

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/collect"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/scoring"
	"github.com/azml-go/azml/internal/telemetry"
)

// work is a change of what is served that is being carried out.
type work struct {
	cancel context.CancelFunc
	done   chan outcome
}

// outcome is how a change ended: what is served and tried now, "" to look again.
type outcome struct {
	target string
	err    error
}

// The pauses before a change that could not be carried out is begun again.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// run follows the record until the endpoint is no longer ours, and ends then.
func (s *host) run(closing context.Context, serving <-chan error) {
	defer close(s.stopped)
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	beat := time.NewTicker(core.HostBeat)
	defer beat.Stop()
	f := &follower{s: s, target: s.target}
	for reason := ""; ; {
		select {
		case <-closing.Done():
			reason = "the workspace was closed"
		case err := <-serving:
			reason = "the server ended: " + err.Error()
		case <-beat.C:
			f.beat(closing)
		case got := <-f.finished():
			f.end(closing, got)
		case <-s.kick:
			reason = f.look(closing)
		case <-ticker.C:
			reason = f.look(closing)
		}
		if reason != "" {
			f.cancel()
			s.end(reason)
			return
		}
	}
}

// follower carries out the changes of the record, one after the other.
type follower struct {
	s       *host
	seen    backend.ETag
	target  string // what was carried out last, or is being
	work    *work
	retryAt time.Time
	pause   time.Duration
}

// finished gives the end of the change that is being carried out.
func (f *follower) finished() <-chan outcome {
	if f.work == nil {
		return nil
	}
	return f.work.done
}

// end notes how a change ended.
func (f *follower) end(ctx context.Context, got outcome) {
	f.work.cancel()
	f.work, f.target = nil, got.target
	f.seen = "" // it may have changed meanwhile, by us too
	if got.err == nil {
		f.pause = 0
		return
	}
	f.pause = min(max(2*f.pause, firstRetry), lastRetry)
	f.retryAt, f.target = time.Now().Add(f.pause), ""
	f.s.note("what is deployed could not be served; the next try is in %s: %v", f.pause, got.err)
	_ = f.s.tell(ctx, func(status *record.EndpointHost) { status.Error, status.Phase = got.err.Error(), "" })
}

// cancel ends the change that is being carried out.
func (f *follower) cancel() {
	if f.work != nil {
		f.work.cancel()
		<-f.work.done
		f.work = nil
	}
}

// beat says that this process lives, and what it does.
func (f *follower) beat(ctx context.Context) {
	stats := f.stats()
	f.s.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, core.HostBeat)
		defer cancel()
		_ = f.s.tell(ctx, func(status *record.EndpointHost) { // the next beat is soon
			if stats != nil {
				status.Deployments = stats
			}
		})
	})
}

// stats gives the state of what is served; nil while that is being changed.
func (f *follower) stats() []record.HostedDeployment {
	if f.work != nil {
		return nil
	}
	return f.s.stats()
}

func (s *host) stats() []record.HostedDeployment {
	all := []record.HostedDeployment{}
	for id, r := range s.running {
		n, kept := r.deployment.Stats(), r.collected()
		all = append(all, record.HostedDeployment{Name: r.deployment.Name(), ID: id, Replicas: n.Replicas, Ready: n.Ready, Busy: n.Busy,
			Queued: n.Queued, Requests: n.Requests, Failures: n.Failures, Refused: n.Refused, Timeouts: n.Timeouts, Mirrored: n.Mirrored,
			Dropped: n.Dropped, Milliseconds: n.Time.Milliseconds(), Collected: kept.Collected, CollectDropped: kept.Dropped})
	}
	slices.SortFunc(all, func(a, b record.HostedDeployment) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// measure gives the numbers of what is served, for metrics. It may be called
// from anywhere.
func (s *host) measure() []telemetry.Deployment {
	served := s.served.Load()
	if served == nil {
		return nil
	}
	var all []telemetry.Deployment
	for _, r := range *served {
		n, kept := r.deployment.Stats(), r.collected()
		all = append(all, telemetry.Deployment{Name: r.deployment.Name(), Replicas: n.Replicas, Ready: n.Ready, Busy: n.Busy, Queued: n.Queued,
			Requests: n.Requests, Failures: n.Failures, Refused: n.Refused, Timeouts: n.Timeouts, Mirrored: n.Mirrored, Dropped: n.Dropped,
			Collected: kept.Collected, CollectDropped: kept.Dropped, Seconds: n.Time.Seconds()})
	}
	return all
}

// collected counts what the deployment has collected.
func (r *running) collected() collect.Stats {
	if r.collects == nil {
		return collect.Stats{}
	}
	return r.collects.Stats()
}

// look looks at the record, and gives the reason when serving has to end. A
// store that does not answer is none.
func (f *follower) look(ctx context.Context) string {
	s := f.s
	asking, cancel := context.WithTimeout(ctx, core.HostBeat)
	defer cancel()
	info, err := s.c.h.Objects().Stat(asking, ref(s.name).Key)
	again := f.work == nil && f.target == "" && time.Now().After(f.retryAt)
	if err == nil && info.ETag == f.seen && !again || err != nil && !errors.Is(err, azml.ErrNotFound) {
		return ""
	}
	stored, err := core.Get[record.Endpoint](asking, s.c.h, ref(s.name).Key)
	switch r := &stored.Value; {
	case errors.Is(err, azml.ErrNotFound), err == nil && r.ID != s.status.Endpoint:
		s.log.log.discard() // a deleted endpoint has no logs any more
		s.requests.log.discard()
		return "the endpoint was deleted"
	case err != nil:
		return ""
	case r.Stops != s.stops:
		return "the endpoint was stopped"
	case s.reload(asking, r) != nil:
		return "" // the keys of before count until it can be done
	case r.Current != nil && s.lacks(r.Current) != "":
		return s.lacks(r.Current)
	default:
		f.seen = stored.ETag
		f.begin(ctx, r)
	}
	return ""
}

// reload takes over keys and settings that were changed.
func (s *host) reload(ctx context.Context, r *record.Endpoint) error {
	s.scoring.SetLimits(scoring.Limits{MaxBody: r.MaxBody, CORSOrigins: r.CORSOrigins})
	if !s.keys.outdated(r) {
		return nil
	}
	if r.Auth == record.AuthNone && !loopback(strings.TrimPrefix(strings.TrimPrefix(s.status.URL, "https://"), "http://")) {
		s.note("authentication stays on: this process can be reached from other machines")
		r.Auth = record.AuthKey
	}
	if err := s.keys.load(ctx, s.c.h, r); err != nil {
		return err
	}
	return s.tell(ctx, func(status *record.EndpointHost) { status.KeyVersion = r.KeyVersion })
}

// begin carries out what the record says, if that is new.
func (f *follower) begin(ctx context.Context, r *record.Endpoint) {
	target := targetOf(r)
	served := r.Candidate == nil && r.Current != nil && strings.HasSuffix(f.target, "+"+r.Current.ID)
	if f.target == target || f.work != nil && served { // or it is just what is being carried out
		return
	}
	f.cancel()
	f.target = target
	ctx, cancel := context.WithCancel(ctx)
	w := &work{cancel, make(chan outcome, 1)}
	f.work = w
	f.s.tasks.Go(func() {
		target, err := f.s.apply(ctx, r)
		w.done <- outcome{target, err}
	})
}

// targetOf identifies what is to be served and tried.
func targetOf(r *record.Endpoint) string {
	target := "-"
	if r.Current != nil {
		target += r.Current.ID
	}
	if r.Candidate != nil {
		target += "+" + r.Candidate.ID
	}
	return target
}
