package scoring

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/azml-go/azml/internal/router"
	"github.com/azml-go/azml/internal/telemetry"
)

const defaultMaxBody = 100 << 20

// Config says how a Server speaks with its clients.
type Config struct {
	// Authorize tells whether a key, which the client sends as "Authorization:
	// Bearer <key>", is accepted now; it is asked for each request and must be
	// fast, safe for concurrent use, and take the same time for all wrong keys.
	// nil means no authentication.
	Authorize func(key string) bool
	// Open tells whether no authentication is asked for now; nil for never.
	Open func() bool
	// ServerVersion is the x-ms-server-version header; default "azml".
	ServerVersion string
	// HideServerVersion leaves that header out.
	HideServerVersion bool
	// Logger gets the details of failed requests; nil drops them.
	Logger *slog.Logger
	// Service is the model's name in the Open Inference Protocol; default "model".
	Service string
	// ModelControl lets clients load and unload the model by that protocol.
	ModelControl bool
	// Requests gets one line, a JSON object, by one Write, for each request but the
	// health probe's; nil drops them. It must be safe for concurrent use.
	Requests io.Writer
	// Telemetry makes spans and metrics of all requests; nil makes none.
	Telemetry *telemetry.Requests
}

// Limits are what may change while a Server serves.
type Limits struct {
	// MaxBody is the largest request body in bytes; default 100 MiB.
	MaxBody int64
	// CORSOrigins are the origins whose pages may call the service, "*" for
	// all; empty switches CORS off.
	CORSOrigins []string
}

type limits struct {
	maxBody int64
	origins []string
	room    *room
}

// Server is the HTTP handler of a web service. It is safe for concurrent use.
// It reads a request's body whole before it takes a replica, so clients that send slowly
// hold none; time limits for reading and writing belong to the http.Server. Bodies of more
// than 64 KiB, of requests and answers, have together four times MaxBody of memory; what
// finds no room waits, a request for ten seconds until it gets 503.
type Server struct {
	cfg     Config
	limits  atomic.Pointer[limits]
	table   atomic.Pointer[router.Table[*Deployment]]
	copies  chan struct{}
	copying sync.WaitGroup
	// protocol answers the Open Inference Protocol.
	protocol http.Handler
	changing turn        // of who loads or unloads the model
	ending   atomic.Bool // nothing is loaded or unloaded any more
}

// NewServer makes a server without deployments, which refuses all requests.
func NewServer(cfg Config) *Server {
	if cfg.ServerVersion == "" {
		cfg.ServerVersion = "azml"
	}
	if cfg.Service == "" {
		cfg.Service = "model"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, copies: make(chan struct{}, maxCopies), changing: newTurn()}
	s.SetLimits(Limits{})
	s.protocol = s.newProtocol()
	none, _ := router.NewTable[*Deployment](nil) // nothing can be wrong with it
	s.table.Store(none)
	return s
}

// SetLimits sets what is taken of requests that begin from now on.
func (s *Server) SetLimits(l Limits) {
	if l.MaxBody <= 0 {
		l.MaxBody = defaultMaxBody
	}
	next := &limits{maxBody: l.MaxBody, origins: l.CORSOrigins}
	if before := s.limits.Load(); before != nil && before.maxBody == l.MaxBody {
		next.room = before.room
	} else {
		next.room = newRoom(l.MaxBody)
	}
	s.limits.Store(next)
}

// SetRoutes says which deployments answer requests that begin from now on. Those
// that are left out have to be closed by the caller, and are safe to be: their requests under way
// end, and what reaches them late goes to who has taken their place. Errors: ErrInvalid.
func (s *Server) SetRoutes(routes []router.Route[*Deployment]) error {
	t, err := router.NewTable(routes)
	if err == nil {
		s.table.Store(t)
	}
	return err
}

// Shutdown answers every further request with 503 and returns when the last
// copy of a request was scored. The deployments stay the caller's.
func (s *Server) Shutdown() {
	none, _ := router.NewTable[*Deployment](nil) // nothing can be wrong with it
	s.table.Store(none)
	s.copying.Wait()
}

// EndLoads has nothing more loaded or unloaded and cuts short what is under way, so that
// who asked for it, and gets an error, does not hold up the end of the service. Requests are still answered.
func (s *Server) EndLoads() {
	s.ending.Store(true)
	for _, route := range s.table.Load().Routes() {
		route.To.loads.end()
	}
}

// open tells whether no key is asked for.
func (s *Server) open() bool {
	return s.cfg.Authorize == nil || s.cfg.Open != nil && s.cfg.Open()
}

// versionPath begins the paths that name a deployment themselves.
const versionPath = "/versions/"

// asked gives the deployment that the request names, "" for none, and the path
// without it.
func asked(r *http.Request) (name, path string) {
	path = r.URL.Path
	if rest, ok := strings.CutPrefix(path, versionPath); ok {
		if name, rest, ok = strings.Cut(rest, "/"); ok && name != "" {
			return name, "/" + rest
		}
	}
	return first(r.Header, headerDeployment), path
}

// ServeHTTP answers one request under the scoring contract.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := &recorder{ResponseWriter: w, call: Call{Began: time.Now()}, brokeOff: true}
	rec.heads, _ = r.Context().Value(headsKey{}).(Heads)
	rec.ctx, rec.begun = s.cfg.Telemetry.Begin(r)
	defer s.ended(rec)
	if name, path := asked(r); path == "/" {
		s.health(rec, r, name)
	} else {
		s.answer(rec, r, name, path)
	}
	rec.brokeOff = false
}

// answer answers a request that is no probe's.
func (s *Server) answer(rec *recorder, r *http.Request, name, path string) {
	rec.call.Method, rec.call.Path = r.Method, r.URL.Path
	ids, problem := requestIDs(r.Header)
	rec.call.ID = ids.request
	s.commonHeaders(rec, r, ids)
	if problem != "" {
		refuse(rec, http.StatusRequestHeaderFieldsTooLarge, problem)
		return
	}
	if preflight := s.cors(rec.Header(), r); preflight {
		rec.WriteHeader(http.StatusOK)
		return
	}
	switch {
	case path == "/score":
		s.score(rec, r, name, false)
	case path == "/swagger.json":
		s.swaggerJSON(rec, r, name)
	case path == invocationsPath:
		s.score(rec, r, name, true)
	case path == "/ping" || path == "/health" || path == "/version":
		s.mlflow(rec, r, name, path)
	case path == inferencePath || strings.HasPrefix(path, inferencePath+"/"):
		s.inference(rec, r)
	default:
		notFound(rec)
	}
}

// ended gives back what the request had, and tells of it.
func (s *Server) ended(rec *recorder) {
	rec.share.leave()
	took := time.Since(rec.call.Began)
	rec.begun.End(rec.ctx, telemetry.Answered{Status: rec.status, BrokeOff: rec.brokeOff, Read: rec.call.In, Written: rec.size, Took: took})
	rec.call.Status, rec.call.Out = rec.status, rec.size
	if rec.gone {
		rec.call.Status = statusClientGone
	}
	if rec.by != nil {
		rec.by.count(rec.call.Status, took-rec.asked)
	}
	if rec.call.Method != "" {
		s.note(&rec.call, rec.call.Began.Add(took))
	}
}

// health tells a probe whether requests would be answered. It takes no replica
// and no place in the queue, so a long call can't make the service look dead.
func (s *Server) health(w *recorder, r *http.Request, name string) {
	ids, problem := requestIDs(r.Header)
	s.commonHeaders(w, r, ids)
	if problem != "" {
		refuse(w, http.StatusRequestHeaderFieldsTooLarge, problem)
		return
	}
	if !allowMethods(w, r, http.MethodGet, http.MethodHead, http.MethodOptions) {
		return
	}
	if err := s.Available(name); err != nil {
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, "No replica of the service is ready.")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8") // as the contract's own server says
	if r.Method != http.MethodOptions {
		_, _ = io.WriteString(w, "Healthy") // a probe that is gone needs no answer
	}
}

// Available gives nil when the named deployment, or with an empty name one that
// has traffic, would answer a request; else why not.
func (s *Server) Available(name string) error {
	err := fmt.Errorf("no deployment has traffic")
	for _, route := range s.table.Load().Routes() {
		if name == route.Name || name == "" && route.Percent > 0 {
			if err = route.To.Available(); err == nil {
				return nil
			}
		}
	}
	return err
}
