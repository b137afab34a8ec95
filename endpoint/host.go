package endpoint

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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

	keys keyring
	log  *steady
	// requests is the log of requests.
	requests *steady
	scoring  *scoring.Server
	server   *http.Server
	tls      *tls.Config // of server, nil for plain HTTP
	// stopGRPC ends the further protocol.
	stopGRPC func(ctx context.Context)
	stopped  chan struct{} // closed when all has ended
	kick     chan struct{} // the record has changed

	stops int // of the endpoint when serving began

	// running is used by one goroutine at a time: run's, or that of the change
	// which is being carried out.
	running map[string]*running // by the ID of the deployment
	target  string              // what run begins with
	tasks   sync.WaitGroup      // beats, and ends of deployments
	served  atomic.Pointer[[]*running]
	unwatch func() error // ends the metrics

	telling sync.Mutex // held while the record is written
	mu      sync.Mutex // guards status
	status  record.EndpointHost
}

// is tells whether that ID is its own.
func (s *host) is(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status.ID == id
}

// serves tells whether it serves the endpoint of that ID, not another one of the name.
func (s *host) serves(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status.Endpoint == id
}

func (s *host) key() string { return core.HostPrefix(s.name) + s.status.ID + ".json" }

// nudge has the host look at the record now.
func (s *host) nudge() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// noteTime is the time of a line of the log, exact enough to be sorted in among others'.
const noteTime = "2006-01-02T15:04:05.000Z07:00"

// note writes a line into the log.
func (s *host) note(format string, args ...any) {
	fmt.Fprintf(s.log, "%s %s\n", s.c.h.Now().Format(noteTime), fmt.Sprintf(format, args...))
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

const (
	// endTime is how long requests under way have at the orderly end of the service.
	endTime = 30 * time.Second
	// storeTime is how long what was collected, the end of the logs and the end of the
	// record have then to be stored.
	storeTime = 10 * time.Second
)

// end lets the requests under way finish, and ends everything.
func (s *host) end(reason string) {
	ctx, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	logger := s.c.h.Logger()
	s.scoring.EndLoads() // the server waits for who asked for them
	if err := s.server.Shutdown(ctx); err != nil {
		logger.Warn("requests were cut off at the end of an endpoint", "endpoint", s.name, "error", err)
	}
	s.stopGRPC(ctx)
	s.scoring.Shutdown()
	s.retire(ctx, nil)
	s.tasks.Wait()
	if err := s.unwatch(); err != nil {
		logger.Warn("metrics of an endpoint did not end", "endpoint", s.name, "error", err)
	}
	s.note("stopped: %s", reason)
	storing, stop := context.WithTimeout(context.Background(), storeTime)
	defer stop()
	if err := s.closeLogs(storing); err != nil {
		logger.Warn("the end of an endpoint's log was lost", "endpoint", s.name, "error", err)
	}
	s.hosts.remove(s) // who sees that its record is gone may serve it anew
	if err := s.leave(storing); err != nil {
		logger.Warn("the end of an endpoint could not be recorded", "endpoint", s.name, "error", err)
	}
}

// openLogs begins the logs of this host. That of requests goes to the store once a
// second, so that it costs few requests there.
func (s *host) openLogs(ctx context.Context) error {
	begin := func(kind logKind) (*rotated, error) {
		return newRotated(ctx, s.c, func() string { return kind.newKey(s.c.h, s.name, s.status.ID) })
	}
	log, err := begin(serviceLog)
	if err != nil {
		return err
	}
	requests, err := begin(requestLog)
	if err != nil {
		return err
	}
	s.log = newSteady(log, 50*time.Millisecond, func(lines int) string {
		return fmt.Sprintf("%s %d lines of this log were dropped: the store did not take them\n", s.c.h.Now().Format(noteTime), lines)
	})
	s.requests = newSteady(requests, time.Second, func(lines int) string {
		return fmt.Sprintf("{\"time\":%q,\"dropped\":%d}\n", s.c.h.Now().Format(time.RFC3339Nano), lines)
	})
	return nil
}

// flushLog hands the log of the service to the store before others are told of what it says,
// who may then read it. A store that does not take it is not waited for.
func (s *host) flushLog(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, recordTime)
	defer cancel()
	_ = s.log.Flush(ctx) // it is tried again
}

func (s *host) closeLogs(ctx context.Context) error {
	return errors.Join(s.log.Close(ctx), s.requests.Close(ctx))
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
		err = s.closeLogs(ctx)
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
// records of those who are gone. It gives the IDs of those that it waited for. Who
// serves another endpoint of that name is not its business.
func (c *Client) awaitEnd(ctx context.Context, r *record.Endpoint) (waited map[string]bool, err error) {
	own, err := ownHosts(c.h)
	if err != nil {
		return nil, err
	}
	ours := own.of(r.Name)
	if ours != nil {
		ours.nudge()
	}
	waited = map[string]bool{}
	began, heard := time.Now(), time.Now()
	for {
		hosts, err := c.hostsOf(ctx, r)
		for _, host := range hosts {
			waited[host.ID] = true
		}
		if err == nil {
			hosts, err = c.dropHosts(ctx, r.Name, hosts, c.h.HostGone)
		}
		here := ours != nil && own.of(r.Name) == ours && ours.serves(r.ID) // its end bounds itself, and has something to write
		if err != nil || len(hosts) == 0 || time.Since(began) > awaitTime && !here {
			return waited, err
		}
		if here || slices.ContainsFunc(hosts, func(host record.EndpointHost) bool { return listens(ctx, host.URL) }) {
			heard = time.Now()
		}
		if time.Since(heard) > recordTime {
			_, err := c.dropHosts(ctx, r.Name, hosts, func(*record.EndpointHost) bool { return true })
			return waited, err
		}
		select {
		case <-time.After(watchEvery / 10):
		case <-ctx.Done():
			return nil, ctx.Err()
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
