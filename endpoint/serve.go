package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/scoring"
)

// ServeOptions are the options of Client.Serve.
type ServeOptions struct {
	// Handler is the function of an endpoint that was deployed with one.
	Handler Handler
	// HTTP is the handler of an endpoint that was deployed with one.
	HTTP http.Handler
}

// watchEvery is how often a serving process looks at the endpoint's record.
const watchEvery = 500 * time.Millisecond

// Serve serves an endpoint in this process and returns when it answers. It is
// served until Stop, Delete, a deployment of the same name, or the closing of
// the workspace. Errors: ErrNotFound; ErrConflict when another process serves
// it; ErrInvalid when an endpoint of a Go function is served without one;
// ErrFailed when it could not be started, with phase and last log lines.
func (c *Client) Serve(ctx context.Context, name string, opts *ServeOptions) (_ *Endpoint, err error) {
	defer c.h.Operation(&ctx, &err, "serve", kind, name)()
	if opts == nil {
		opts = &ServeOptions{}
	}
	if err := core.EndpointName.Check(name); err != nil {
		return nil, err
	}
	stored, err := c.claim(ctx, name, opts)
	if err != nil {
		return nil, err
	}
	host := &host{c: c, name: name, owner: stored.Value.Owner.ID, stopped: make(chan struct{})}
	if err := host.start(ctx, stored.Value, opts); err != nil {
		return nil, errors.Join(err, host.fail(ctx, err))
	}
	e := wrap(c.h, host.stored)
	e.host = host
	return e, nil
}

// claim makes this process the one that serves the endpoint. Whether its
// models are there is looked up after that is written, see model.Client.Delete.
func (c *Client) claim(ctx context.Context, name string, opts *ServeOptions) (core.Stored[record.Endpoint], error) {
	owner := c.h.Owner()
	owner.ID = core.NewID(8) // tells this service from another one in this process
	return core.Update(ctx, c.h, ref(name), core.Updated("state Transitioning"), func(r *record.Endpoint) error {
		switch {
		case r.Active() && !c.h.Gone(r.Owner):
			return fmt.Errorf("%w: process %d on %s serves it", azml.ErrConflict, r.Owner.PID, r.Owner.Host)
		case r.Kind == kindHandler && opts.Handler == nil && opts.HTTP == nil:
			return fmt.Errorf("%w: it was deployed with a Go function, which only the program that has it can serve: give Handler or HTTP", azml.ErrInvalid)
		case r.Kind == kindScript && (opts.Handler != nil || opts.HTTP != nil):
			return fmt.Errorf("%w: it was deployed with a scoring script: give neither Handler nor HTTP", azml.ErrInvalid)
		}
		r.State, r.Since, r.Owner, r.URL, r.Error = record.EndpointTransitioning, c.h.Now(), &owner, "", ""
		return nil
	})
}

// host serves one endpoint in this process.
type host struct {
	c      *Client
	name   string
	owner  string
	stored core.Stored[record.Endpoint]

	keys     keyring
	log      *history.LogWriter
	replicas []*scoring.Python
	scoring  *scoring.Server
	server   *http.Server
	dir      *workDir      // of a script, removed at the end; nil for a Go function
	stopped  chan struct{} // closed when all has ended
}

// start brings the service up and hands it to a goroutine of the workspace.
func (s *host) start(ctx context.Context, r record.Endpoint, opts *ServeOptions) (err error) {
	if s.log, err = history.NewLogWriter(ctx, s.c.h, logKey(s.name)); err != nil {
		return err
	}
	models, err := s.c.models(ctx, r)
	if err != nil {
		return err
	}
	if err := s.keys.load(ctx, s.c.h, s.name, r.AuthDisabled); err != nil {
		return err
	}
	scorers, err := s.scorers(ctx, r, models, opts)
	if err != nil {
		return err
	}
	if s.scoring, err = scoring.NewServer(s.config(r, scorers)); err != nil {
		return err
	}
	address := r.Address
	if address == "" {
		address = "127.0.0.1:0"
	}
	if !loopback(address) && r.AuthDisabled {
		return fmt.Errorf("%w: address %q is reachable from other machines: keep authentication on", azml.ErrInvalid, address)
	}
	listener, err := listen(ctx, address)
	if err != nil {
		return fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
	}
	s.server = &http.Server{Handler: s.c.h.Telemetry().Handler(s.scoring, "score endpoint"), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 5 * time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	serving := make(chan error, 1)
	go func() { serving <- s.server.Serve(listener) }()
	err = s.announce(ctx, listener.Addr().String(), r.KeyVersion)
	if err == nil {
		err = s.c.h.Serve(func(closing context.Context) { s.run(closing, serving) })
	}
	if err != nil {
		return errors.Join(err, s.server.Close())
	}
	return nil
}

// listen listens on the address. One that is in use may be that of the service
// which this one replaces: it lets go soon after it has seen that.
func listen(ctx context.Context, address string) (net.Listener, error) {
	for deadline := time.Now().Add(4 * watchEvery); ; {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
			return listener, err
		}
		select {
		case <-time.After(watchEvery / 10):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *host) config(r record.Endpoint, scorers []scoring.Scorer) scoring.Config {
	config := scoring.Config{Name: s.name, Replicas: scorers, MaxConcurrent: r.MaxConcurrent, CORSOrigins: r.CORSOrigins,
		ScoringTimeout: time.Duration(r.ScoringTimeout) * time.Millisecond, MaxQueueWait: time.Duration(r.MaxQueueWait) * time.Millisecond,
		Logger: s.logger(), AccessLog: s.log}
	if !r.AuthDisabled {
		config.Keys = s.keys.accepted
	}
	if s.dir != nil {
		config.SwaggerFiles = s.sourceFS()
	}
	return config
}

// announce says that the endpoint answers, with the keys of that version:
// newer ones that came while it was started are loaded next.
func (s *host) announce(ctx context.Context, address string, keyVersion int) (err error) {
	fmt.Fprintf(s.log, "%s serving on http://%s\n", s.c.h.Now().Format(time.RFC3339), address)
	if err := s.log.Flush(ctx); err != nil {
		return err
	}
	s.stored, err = s.update(ctx, "state Healthy", func(r *record.Endpoint) {
		r.State, r.Since, r.URL, r.KeyVersionServed = record.EndpointHealthy, s.c.h.Now(), "http://"+address, keyVersion
	})
	return err
}

// update changes the record as long as this process serves the endpoint.
func (s *host) update(ctx context.Context, detail string, change func(*record.Endpoint)) (core.Stored[record.Endpoint], error) {
	return core.Update(ctx, s.c.h, ref(s.name), core.Updated(detail), func(r *record.Endpoint) error {
		if r.Owner == nil || r.Owner.ID != s.owner || !r.Active() {
			return fmt.Errorf("%w: the endpoint was stopped or deployed anew meanwhile", azml.ErrConflict)
		}
		change(r)
		return nil
	})
}

// run watches the record until the endpoint is no longer ours, and ends then.
func (s *host) run(closing context.Context, serving <-chan error) {
	defer close(s.stopped)
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	var seen backend.ETag
	for {
		select {
		case <-closing.Done():
			s.end("the workspace was closed", true)
			return
		case err := <-serving:
			s.end("the server ended: "+err.Error(), true)
			return
		case <-ticker.C:
		}
		info, err := s.c.h.Objects().Stat(closing, ref(s.name).Key)
		if err == nil && info.ETag == seen || err != nil && !errors.Is(err, azml.ErrNotFound) {
			continue // a store that doesn't answer is no reason to stop serving
		}
		stored, err := core.Get[record.Endpoint](closing, s.c.h, ref(s.name).Key)
		if errors.Is(err, azml.ErrNotFound) || err == nil && (stored.Value.Owner == nil || stored.Value.Owner.ID != s.owner || !stored.Value.Active()) {
			if err != nil {
				s.log.Discard() // a deleted endpoint has no log any more
			}
			s.end("the endpoint was stopped, deleted or deployed anew", false)
			return
		}
		if err == nil && s.reload(closing, stored.Value) == nil {
			seen = stored.ETag
		}
	}
}

// reload takes over keys that were changed.
func (s *host) reload(ctx context.Context, r record.Endpoint) error {
	if r.KeyVersion == r.KeyVersionServed {
		return nil
	}
	if err := s.keys.load(ctx, s.c.h, s.name, r.AuthDisabled); err != nil {
		return err
	}
	_, err := s.update(ctx, "keys loaded", func(now *record.Endpoint) { now.KeyVersionServed = r.KeyVersion })
	return err
}

// endTime bounds the orderly end of the service.
const endTime = 30 * time.Second

// end lets the requests under way finish, and ends everything. With tell, the
// record says that the endpoint is stopped.
func (s *host) end(reason string, tell bool) {
	ctx, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	logger := s.c.h.Logger()
	if err := s.server.Shutdown(ctx); err != nil {
		logger.Warn("requests were cut off at the end of an endpoint", "endpoint", s.name, "error", err)
	}
	if err := s.closeReplicas(ctx); err != nil {
		logger.Warn("a scoring process did not end in order", "endpoint", s.name, "error", err)
	}
	if tell {
		_, err := s.update(ctx, "state Stopped", func(r *record.Endpoint) {
			r.State, r.Since, r.Owner, r.URL, r.Error = record.EndpointStopped, s.c.h.Now(), nil, "", ""
		})
		if err != nil && !errors.Is(err, azml.ErrConflict) && !errors.Is(err, azml.ErrNotFound) {
			logger.Warn("the end of an endpoint could not be recorded", "endpoint", s.name, "error", err)
		}
	}
	fmt.Fprintf(s.log, "%s stopped: %s\n", s.c.h.Now().Format(time.RFC3339), reason)
	if err := s.log.Close(ctx); err != nil {
		logger.Warn("the end of an endpoint's log was lost", "endpoint", s.name, "error", err)
	}
}

// fail cleans up after a start that failed and notes why.
func (s *host) fail(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer cancel()
	err := s.closeReplicas(ctx)
	if s.log != nil {
		fmt.Fprintf(s.log, "%s start failed: %v\n", s.c.h.Now().Format(time.RFC3339), cause)
		err = errors.Join(err, s.log.Close(ctx))
	}
	_, updateErr := s.update(ctx, "state Failed", func(r *record.Endpoint) {
		r.State, r.Since, r.Owner, r.URL, r.Error = record.EndpointFailed, s.c.h.Now(), nil, "", cause.Error()
	})
	if errors.Is(updateErr, azml.ErrConflict) || errors.Is(updateErr, azml.ErrNotFound) {
		updateErr = nil
	}
	return errors.Join(err, updateErr)
}

// awaitTime bounds how long is waited for a service of another process to end.
const awaitTime = 10 * time.Second

// awaitEnd waits until the service at url has ended: for one that this object
// serves until all of it has, for another until nobody listens there any more.
func (e *Endpoint) awaitEnd(ctx context.Context, url string) {
	e.mu.Lock()
	host := e.host
	e.mu.Unlock()
	if host != nil {
		select {
		case <-host.stopped:
		case <-ctx.Done():
		}
		return
	}
	ctx, cancel := context.WithTimeout(ctx, awaitTime)
	defer cancel()
	for listens(ctx, url) {
		select {
		case <-time.After(watchEvery / 10):
		case <-ctx.Done():
			return
		}
	}
}

func listens(ctx context.Context, url string) bool {
	address := strings.TrimPrefix(url, "http://")
	if address == "" {
		return false
	}
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = connection.Close() // nothing was sent
	return true
}
