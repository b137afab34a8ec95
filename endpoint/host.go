package endpoint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/scoring"
)

// host serves one endpoint in this process.
type host struct {
	c     *Client
	hosts *hosts
	name  string
	opts  ServeOptions

	keys    keyring
	log     *steady
	scoring *scoring.Server
	server  *http.Server
	stopped chan struct{} // closed when all has ended
	kick    chan struct{} // the record has changed

	stops int // of the endpoint when serving began

	// running is used by one goroutine at a time: run's, or that of the change
	// which is being carried out.
	running map[string]*running // by the ID of the deployment
	target  string              // what run begins with
	tasks   sync.WaitGroup      // beats, and ends of deployments

	telling sync.Mutex // held while the record is written
	mu      sync.Mutex // guards status
	status  record.EndpointHost
}

func (s *host) key() string { return core.HostPrefix(s.name) + s.status.ID + ".json" }

// nudge has the host look at the record now.
func (s *host) nudge() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// note writes a line into the log.
func (s *host) note(format string, args ...any) {
	fmt.Fprintf(s.log, "%s %s\n", s.c.h.Now().Format(time.RFC3339), fmt.Sprintf(format, args...))
}

// logger writes what happens to the service into its log.
func (s *host) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// tell changes what the host says of itself and writes it down. A record that
// was removed stays so: the endpoint was deleted.
func (s *host) tell(ctx context.Context, change func(*record.EndpointHost)) error {
	s.telling.Lock()
	defer s.telling.Unlock()
	s.mu.Lock()
	change(&s.status)
	now := s.status
	s.mu.Unlock()
	_, err := core.Update(ctx, s.c.h, core.Ref{Kind: kind, Name: s.name, Key: s.key()}, core.Quiet, func(r *record.EndpointHost) error {
		now.Meta = r.Meta
		*r = now
		return nil
	})
	return err
}

// progress says what is being done to serve what is new. A store that does not
// take it is no reason to do it not.
func (s *host) progress(ctx context.Context, format string, args ...any) {
	phase := fmt.Sprintf(format, args...)
	if phase != "" {
		s.note("%s", phase)
	}
	_ = s.tell(ctx, func(status *record.EndpointHost) { status.Phase = phase })
}

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
	defer s.hosts.remove(s)
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
		n := r.deployment.Stats()
		all = append(all, record.HostedDeployment{Name: r.deployment.Name(), ID: id, Replicas: n.Replicas, Ready: n.Ready, Busy: n.Busy,
			Queued: n.Queued, Requests: n.Requests, Failures: n.Failures, Refused: n.Refused, Timeouts: n.Timeouts, Mirrored: n.Mirrored,
			Dropped: n.Dropped, Milliseconds: n.Time.Milliseconds()})
	}
	slices.SortFunc(all, func(a, b record.HostedDeployment) int { return strings.Compare(a.Name, b.Name) })
	return all
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
		s.log.log.Discard() // a deleted endpoint has no log any more
		return "the endpoint was deleted"
	case err != nil:
		return ""
	case r.Stops != s.stops:
		return "the endpoint was stopped"
	case s.reload(asking, r) != nil:
		return "" // the keys of before count until it can be done
	case r.Current != nil && s.canServe(r.Current) != nil:
		return "what is deployed now is a Go function of another program"
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

// endTime bounds the orderly end of the service.
const endTime = 30 * time.Second

// end lets the requests under way finish, and ends everything.
func (s *host) end(reason string) {
	ctx, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	logger := s.c.h.Logger()
	if err := s.server.Shutdown(ctx); err != nil {
		logger.Warn("requests were cut off at the end of an endpoint", "endpoint", s.name, "error", err)
	}
	s.scoring.Shutdown()
	s.retire(ctx, nil)
	s.tasks.Wait()
	s.note("stopped: %s", reason)
	if err := s.log.Close(ctx); err != nil {
		logger.Warn("the end of an endpoint's log was lost", "endpoint", s.name, "error", err)
	}
	if err := s.leave(ctx); err != nil {
		logger.Warn("the end of an endpoint could not be recorded", "endpoint", s.name, "error", err)
	}
}

// leave removes the host's record.
func (s *host) leave(ctx context.Context) error {
	s.telling.Lock()
	defer s.telling.Unlock()
	err := s.c.h.Objects().Delete(ctx, s.key(), &backend.DeleteOptions{})
	if errors.Is(err, azml.ErrNotFound) {
		return nil
	}
	return err
}

// fail cleans up after a start that failed and notes why.
func (s *host) fail(ctx context.Context, r record.Endpoint, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer cancel()
	if s.scoring != nil {
		s.scoring.Shutdown()
	}
	s.retire(ctx, nil)
	s.tasks.Wait()
	var err error
	if s.log != nil {
		s.note("start failed: %v", cause)
		err = s.log.Close(ctx)
	}
	if errors.Is(cause, context.Canceled) {
		return errors.Join(err, s.leave(ctx)) // nobody knows whether it would have started
	}
	_, updateErr := core.Update(ctx, s.c.h, ref(s.name), core.Updated("start failed"), func(now *record.Endpoint) error {
		if now.Failure != nil || targetOf(now) != targetOf(&r) {
			return core.ErrNoChange // it was noted, or something else is to be served
		}
		now.Failure = &record.EndpointFailure{Error: withoutClass(cause), At: s.c.h.Now()}
		return nil
	})
	if errors.Is(updateErr, azml.ErrNotFound) {
		updateErr = nil
	}
	return errors.Join(err, updateErr, s.leave(ctx))
}

// awaitTime bounds how long is waited for services of other processes to end;
// recordTime is how long a service that takes no more requests may take to say
// that it has ended.
const (
	awaitTime  = 10 * time.Second
	recordTime = time.Second
)

// awaitEnd waits until nobody serves the endpoint any more, and removes the
// records of those who are gone.
func (c *Client) awaitEnd(ctx context.Context, name string) error {
	if hosts, err := ownHosts(c.h); err == nil {
		if host := hosts.of(name); host != nil {
			host.nudge()
		}
	}
	began, heard := time.Now(), time.Now()
	for {
		if err := c.dropGone(ctx, name, ""); err != nil {
			return err
		}
		hosts, err := c.hosts(ctx, name)
		if err != nil || len(hosts) == 0 || time.Since(began) > awaitTime {
			return err
		}
		if slices.ContainsFunc(hosts, func(host record.EndpointHost) bool { return listens(ctx, host.URL) }) {
			heard = time.Now()
		}
		if time.Since(heard) > recordTime {
			return c.removeBelow(ctx, core.HostPrefix(name))
		}
		select {
		case <-time.After(watchEvery / 10):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func listens(ctx context.Context, url string) bool {
	_, address, ok := strings.Cut(url, "://")
	if !ok {
		return false
	}
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = connection.Close() // nothing was sent
	return true
}
