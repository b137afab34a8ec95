package endpoint

import (
	"cmp"
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
	"syscall"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/certificate"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/scoring"
	"github.com/azml-go/azml/internal/telemetry"
)

// ServeOptions are the options of Client.Serve.
type ServeOptions struct {
	// Handler is the function of deployments that were made with one.
	Handler Handler
	// BatchHandler is the function of deployments that were made with one.
	BatchHandler BatchHandler
	// HTTP is the handler of deployments that were made with one.
	HTTP http.Handler
	// Handlers are the functions of deployments by name, where they differ; they
	// come before Handler, BatchHandler and HTTP.
	Handlers map[string]Handler
	// Runtimes load models into this process, each those of its format.
	Runtimes []Runtime
	// Address is the host:port to listen on; a free port of the loopback
	// interface when empty.
	Address string
	// Certificate makes it HTTPS; nil for plain HTTP, unless there is CertificateFile.
	Certificate *tls.Certificate
	// CertificateFile and KeyFile are files (PEM) with a certificate and its key, in
	// place of Certificate. When they are renewed, new connections get what is new
	// within a second; while there is no whole pair in them, that of before.
	CertificateFile, KeyFile string
	// GRPC is a further protocol with an address of its own, such as
	// inferencegrpc.Listen("127.0.0.1:8001") gives; nil for none. The certificate, keys, routes and limits are
	// those of HTTP.
	GRPC Protocol
	// ModelControl says whether clients may load and unload the model by the Open
	// Inference Protocol, in this process; default ModelControlNone.
	ModelControl ModelControl
}

// ModelControl says who loads and unloads what an endpoint serves.
type ModelControl string

const (
	// ModelControlNone has everything loaded that is deployed.
	ModelControlNone ModelControl = "none"
	// ModelControlExplicit has it loaded until a client with a key or
	// token of the endpoint unloads it for all clients of this process. It is loaded
	// again when a client asks for it, or another deployment takes its place. While
	// the endpoint has AuthNone, clients may do neither.
	ModelControlExplicit ModelControl = "explicit"
)

// Protocol is a protocol beside HTTP. Package endpoint/inferencegrpc has one, so
// that programs without it don't link what it needs.
type Protocol interface {
	// Address is the host:port that it is to listen on.
	Address() string
	// Serve listens and answers until stop is called, which gives requests under
	// way until ctx's end, with spans and metrics of the recorder; over TLS unless config is nil. It gives the address
	// that it listens on. Errors: ErrUnavailable.
	Serve(ctx context.Context, service scoring.Inference, config *tls.Config, recorder *telemetry.Recorder) (address string, stop func(ctx context.Context), err error)
}

// check tells what is wrong with the options for an endpoint of these settings,
// nil when they are not known.
func (o *ServeOptions) check(settings *Settings) error {
	for _, address := range o.addresses() {
		if settings != nil {
			if err := checkOpen(address, string(settings.Auth)); err != nil {
				return err
			}
		}
		if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
			return fmt.Errorf("%w: address %q: write host:port, such as 127.0.0.1:8080", azml.ErrInvalid, address)
		}
	}
	if !slices.Contains([]ModelControl{"", ModelControlNone, ModelControlExplicit}, o.ModelControl) {
		return fmt.Errorf("%w: model control %q: it is %s or %s", azml.ErrInvalid, o.ModelControl, ModelControlNone, ModelControlExplicit)
	}
	_, err := o.tls(slog.New(slog.DiscardHandler))
	return err
}

// tls gives what HTTPS needs, nil for plain HTTP. The log is told of renewed files.
func (o *ServeOptions) tls(log *slog.Logger) (*tls.Config, error) {
	switch {
	case o.CertificateFile == "" && o.KeyFile == "":
		if o.Certificate == nil {
			return nil, nil
		}
		return &tls.Config{Certificates: []tls.Certificate{*o.Certificate}, MinVersion: tls.VersionTLS12}, nil
	case o.Certificate != nil:
		return nil, fmt.Errorf("%w: give Certificate or CertificateFile and KeyFile, not both", azml.ErrInvalid)
	}
	return certificate.Files{Certificate: o.CertificateFile, Key: o.KeyFile}.Config(log)
}

// addresses are those that were given.
func (o *ServeOptions) addresses() (list []string) {
	if o.Address != "" {
		list = append(list, o.Address)
	}
	if o.GRPC != nil {
		list = append(list, o.GRPC.Address())
	}
	return list
}

// checkOpen refuses to let everybody in from other machines.
func checkOpen(address, auth string) error {
	if loopback(address) || auth != record.AuthNone {
		return nil
	}
	return fmt.Errorf("%w: address %q is reachable from other machines: keep authentication on", azml.ErrInvalid, address)
}

// loopback tells whether the address is reachable from this machine only.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil || address == "" {
		return address == ""
	}
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// watchEvery is how often a serving process looks at the endpoint's record.
const watchEvery = 500 * time.Millisecond

// Serve serves an endpoint in this process and returns when it answers. It is
// served until Stop, Delete or the closing of the workspace; several processes
// may serve the same one. Changes of what is deployed, of traffic, keys and settings are
// followed within a second, whoever makes them, and lose no request. A process that can't serve what is
// deployed, because it is another program's Go function or a model that it has no runtime
// for, ends serving; what is new it leaves to others.
// Errors: ErrNotFound; ErrConflict when this process serves it already;
// ErrUnsupported when it lacks the function or the runtime; ErrFailed
// when it could not be started, with phase and last log lines.
func (c *Client) Serve(ctx context.Context, name string, opts *ServeOptions) (_ *Endpoint, err error) {
	defer c.h.Operation(&ctx, &err, "serve", kind, name)()
	if err := core.EndpointName.Check(name); err != nil {
		return nil, err
	}
	host, err := c.serve(ctx, name, opts)
	if err != nil {
		return nil, err
	}
	e, err := c.Get(ctx, name, nil)
	if err != nil {
		return nil, err
	}
	e.host = host
	return e, nil
}

// Wait waits until this process serves the endpoint no more, which this object
// was made by. Errors: ErrInvalid when it never did.
func (e *Endpoint) Wait(ctx context.Context) (err error) {
	defer e.h.Operation(&ctx, &err, "wait for the end of", kind, e.Name())()
	if e.host == nil {
		return fmt.Errorf("%w: this object was not made by serving it", azml.ErrInvalid)
	}
	select {
	case <-e.host.stopped:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// serve starts a host for the endpoint.
func (c *Client) serve(ctx context.Context, name string, opts *ServeOptions) (_ *host, err error) {
	if opts == nil {
		opts = &ServeOptions{}
	}
	if err := opts.check(nil); err != nil {
		return nil, err
	}
	hosts, err := ownHosts(c.h)
	if err != nil {
		return nil, err
	}
	s := &host{c: c, hosts: hosts, name: name, opts: *opts, running: map[string]*running{},
		stopped: make(chan struct{}), kick: make(chan struct{}, 1)}
	if !hosts.add(s) {
		return nil, fmt.Errorf("%w: this process serves it already", azml.ErrConflict)
	}
	defer func() {
		if err != nil {
			close(s.stopped)
			hosts.remove(s)
		}
	}()
	stored, err := c.claim(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := s.start(ctx, stored); err != nil {
		return nil, errors.Join(err, s.fail(ctx, stored.Value, err))
	}
	return s, nil
}

// claim writes down that this process serves the endpoint. Whether its models
// are there is looked up after that is written, see model.Client.Delete.
func (c *Client) claim(ctx context.Context, s *host) (core.Stored[record.Endpoint], error) {
	stored, err := core.Get[record.Endpoint](ctx, c.h, ref(s.name).Key)
	if err != nil {
		return stored, err
	}
	if r := base(&stored.Value); len(r.Deployments) > 0 {
		current := stored.Value.Current
		if lacks := s.lacks(&r); lacks != "" && (current == nil || s.lacks(current) != "") {
			return stored, fmt.Errorf("%w: %s", azml.ErrUnsupported, lacks)
		}
		if (s.opts.function().given() || s.opts.Handlers != nil) && !hasFunction(&r) {
			return stored, fmt.Errorf("%w: it was deployed without a Go function: give neither Handler, BatchHandler nor HTTP", azml.ErrInvalid)
		}
	}
	hosts, err := c.hosts(ctx, s.name)
	if err != nil {
		return stored, err
	}
	if _, err := c.dropHosts(ctx, s.name, hosts, func(host *record.EndpointHost) bool {
		return c.h.HostGone(host) || host.Endpoint != stored.Value.ID // which sees that its endpoint is gone
	}); err != nil {
		return stored, err
	}
	if err := c.dropLogs(ctx, s.name); err != nil {
		return stored, err
	}
	owner := c.h.Owner()
	id := core.NewID(8)
	s.mu.Lock()
	s.status = record.EndpointHost{ID: id, Endpoint: stored.Value.ID, Owner: owner, State: record.EndpointTransitioning, Since: c.h.Now()}
	s.mu.Unlock()
	err = c.h.Audit(ctx, "update", ref(s.name), fmt.Sprintf("served by process %d on %s", owner.PID, owner.Host), func() error {
		_, err := core.CreateQuiet(ctx, c.h, s.key(), s.status)
		return err
	})
	if err != nil {
		return stored, err
	}
	return core.Update(ctx, c.h, ref(s.name), core.Quiet, func(r *record.Endpoint) error {
		if !r.Stopped {
			return core.ErrNoChange
		}
		r.Stopped = false
		return nil
	})
}

// dropHosts removes the records of the hosts for which drop holds, and gives the others.
func (c *Client) dropHosts(ctx context.Context, name string, hosts []record.EndpointHost, drop func(*record.EndpointHost) bool) (kept []record.EndpointHost, err error) {
	for _, host := range hosts {
		if !drop(&host) {
			kept = append(kept, host)
		} else if err := c.removeBelow(ctx, core.HostPrefix(name)+host.ID+".json"); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// start brings the service up and hands it to a goroutine of the workspace.
func (s *host) start(ctx context.Context, stored core.Stored[record.Endpoint]) (err error) {
	if err := s.openLogs(ctx); err != nil {
		return err
	}
	r := stored.Value
	for _, address := range s.opts.addresses() {
		if err := checkOpen(address, r.Auth); err != nil {
			return err
		}
	}
	if err := s.keys.load(ctx, s.c.h, &r); err != nil {
		return err
	}
	s.scoring = scoring.NewServer(scoring.Config{Service: s.name, Authorize: s.keys.authorize, Open: s.keys.open, Logger: s.logger(), Requests: s.requests,
		ModelControl: s.opts.ModelControl == ModelControlExplicit,
		Telemetry:    s.c.h.Telemetry().Requests("score endpoint", s.name)})
	s.scoring.SetLimits(scoring.Limits{MaxBody: r.MaxBody, CORSOrigins: r.CORSOrigins})
	if s.tls, err = s.opts.tls(s.logger()); err != nil {
		return err
	}
	listener, err := listen(ctx, cmp.Or(s.opts.Address, "127.0.0.1:0"))
	if err != nil {
		return fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
	}
	s.stops, s.status.KeyVersion = r.Stops, r.KeyVersion
	if err := s.settle(ctx, &r); err != nil {
		return errors.Join(err, listener.Close())
	}
	s.server = newServer(s.scoring, defaultPace())
	s.server.ErrorLog = slog.NewLogLogger(s.logger().Handler(), slog.LevelWarn)
	if s.unwatch, err = s.c.h.Telemetry().Deployments(s.name, s.measure); err != nil {
		return errors.Join(err, listener.Close())
	}
	serving := make(chan error, 1)
	go func() { serving <- s.listenOn(pacing{listener, defaultPace()}) }()
	grpc, err := s.serveGRPC(ctx)
	if err == nil {
		err = s.announce(ctx, listener.Addr().String(), grpc)
	}
	if err == nil {
		err = s.catchUp(ctx)
	}
	if err == nil {
		err = s.c.h.Serve(func(closing context.Context) { s.run(closing, serving) })
	}
	if err != nil {
		s.stopGRPC(ctx)
		return errors.Join(err, s.server.Close(), s.unwatch())
	}
	return nil
}

// settle carries out what the record says, until that has not changed meanwhile.
func (s *host) settle(ctx context.Context, r *record.Endpoint) (err error) {
	for {
		if s.target, err = s.apply(ctx, r); err != nil || s.target != "" {
			return err
		}
		stored, err := core.Get[record.Endpoint](ctx, s.c.h, ref(s.name).Key)
		if err != nil {
			return err
		}
		r = &stored.Value
	}
}

// catchUp takes over keys and settings that were changed while the deployments were
// started: who changes them waits for those who have announced themselves.
func (s *host) catchUp(ctx context.Context) error {
	stored, err := core.Get[record.Endpoint](ctx, s.c.h, ref(s.name).Key)
	if errors.Is(err, azml.ErrNotFound) {
		return nil // serving ends with the first look at the record
	}
	if err != nil {
		return err
	}
	return s.reload(ctx, &stored.Value)
}

// serveGRPC serves the further protocol and gives its address, "" when there is none.
func (s *host) serveGRPC(ctx context.Context) (address string, err error) {
	s.stopGRPC = func(context.Context) {}
	if s.opts.GRPC == nil {
		return "", nil
	}
	address, stop, err := s.opts.GRPC.Serve(ctx, s.scoring.Inference(), s.tls, s.c.h.Telemetry())
	if err == nil {
		s.stopGRPC = stop
	}
	return address, err
}

func (s *host) listenOn(listener net.Listener) error {
	if s.tls == nil {
		return s.server.Serve(listener)
	}
	s.server.TLSConfig = s.tls.Clone() // the server adds HTTP/2 to it, which gRPC does, too
	return s.server.ServeTLS(listener, "", "")
}

// listen listens on the address. One that is in use may be that of a service
// which is just ending.
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

// announce says that the endpoint answers.
func (s *host) announce(ctx context.Context, address, grpc string) error {
	scheme := "http://"
	if s.tls != nil {
		scheme = "https://"
	}
	s.note("serving on %s%s", scheme, address)
	if grpc != "" {
		s.note("serving gRPC on %s", grpc)
	}
	s.flushLog(ctx)
	return s.tell(ctx, func(status *record.EndpointHost) {
		status.State, status.Since, status.URL, status.GRPC = record.EndpointHealthy, s.c.h.Now(), scheme+address, grpc
	})
}

// hosts are the endpoints that a workspace's handle serves, and the Go functions
// that were deployed with it. It is the handle's own.
type hosts struct {
	mu        sync.Mutex
	serving   map[string]*host
	functions map[string]function // by the ID of the deployment
}

// function is what a deployment of a Go function runs.
type function struct {
	handler Handler
	batch   BatchHandler
	http    http.Handler
}

// given tells whether there is one.
func (f function) given() bool { return f.handler != nil || f.batch != nil || f.http != nil }

func (o *ServeOptions) function() function { return function{o.Handler, o.BatchHandler, o.HTTP} }

func ownHosts(h core.Handle) (*hosts, error) {
	return core.Own(h, func(core.Handle) (*hosts, error) {
		return &hosts{serving: map[string]*host{}, functions: map[string]function{}}, nil
	})
}

// Close does nothing: the hosts are tasks of the workspace, which have ended.
func (*hosts) Close() error { return nil }

// add is false when this handle serves the endpoint already.
func (hs *hosts) add(s *host) bool {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if hs.serving[s.name] != nil {
		return false
	}
	hs.serving[s.name] = s
	return true
}

// remove takes the host away, if it is still there.
func (hs *hosts) remove(s *host) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if hs.serving[s.name] == s {
		delete(hs.serving, s.name)
	}
}

// of gives the host that serves the endpoint, nil when there is none.
func (hs *hosts) of(name string) *host {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	return hs.serving[name]
}

// keep remembers the Go function of a deployment.
func (hs *hosts) keep(id string, config Config) {
	if config.Script != nil {
		return
	}
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.functions[id] = function{config.Handler, config.BatchHandler, config.HTTP}
}

// function gives the Go function of a deployment: the one that it was deployed
// with in this process, or one that the host was given.
func (s *host) function(d *record.EndpointDeployment) (function, bool) {
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	if f, ok := s.hosts.functions[d.ID]; ok {
		return f, true
	}
	if f := s.opts.Handlers[d.Name]; f != nil {
		return function{handler: f}, true
	}
	f := s.opts.function()
	return f, f.given()
}

// lacks tells what this process lacks to serve the revision, a Go function or what runs a
// model, and who has it; empty when it can.
func (s *host) lacks(r *record.EndpointRevision) string {
	for i := range r.Deployments {
		d := &r.Deployments[i]
		if _, ok := s.function(d); d.Kind == kindHandler && !ok {
			return fmt.Sprintf("deployment %q is a Go function, which only the program that has it can serve: give Handler, BatchHandler or HTTP", d.Name)
		}
		if d.ModelFormat == FormatONNX && s.runtimeOf(d.ModelFormat) == nil {
			return fmt.Sprintf("deployment %q is an ONNX model, which only a program with a runtime for such can serve: give one in Runtimes, or serve it with azml-onnx of the module github.com/azml-go/azml/onnx", d.Name)
		}
	}
	return ""
}

func hasFunction(r *record.EndpointRevision) bool {
	for _, d := range r.Deployments {
		if d.Kind == kindHandler {
			return true
		}
	}
	return false
}
