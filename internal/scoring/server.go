package scoring

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/azml-go/azml"
)

const (
	defaultTimeout  = 60 * time.Second
	defaultWait     = 500 * time.Millisecond
	defaultMaxQueue = 1000
	defaultMaxBody  = 100 << 20
)

// Config says what a Server serves and within which limits.
type Config struct {
	// Name is the service's name in the swagger documents; default "ML service".
	Name string
	// Version is the service's version there; default "1.0".
	Version string
	// PathPrefix stands before the paths in the swagger documents, for a
	// service that is mounted below a path.
	PathPrefix string
	// Replicas answer the requests. They stay the caller's, who closes them
	// after the server. All are of one kind: the first one's traits count.
	Replicas []Scorer
	// Keys gives the keys that are accepted now; it is asked for each request
	// and must be fast and safe for concurrent use. nil means no
	// authentication; an empty list refuses everybody.
	Keys func() []string
	// ScoringTimeout bounds one call of the scorer; default 60 seconds.
	ScoringTimeout time.Duration
	// MaxConcurrent bounds the calls under way in each replica; 0 leaves it
	// to the replica's traits, whose limit is never exceeded.
	MaxConcurrent int
	// MaxQueueWait is how long a request waits for a replica; default 500 ms.
	MaxQueueWait time.Duration
	// MaxQueue is how many requests may wait at once; default 1000.
	MaxQueue int
	// MaxBody is the largest request body in bytes; default 100 MiB.
	MaxBody int64
	// CORSOrigins are the origins whose pages may call the service, "*" for
	// all; empty switches CORS off.
	CORSOrigins []string
	// Schema describes input and output; default the first replica's.
	Schema *Schema
	// SwaggerFiles is a folder in which swagger.json or swagger2.json,
	// swagger3.json and swagger3.1.json replace the generated documents; nil
	// is none. It is read by NewServer only.
	SwaggerFiles fs.FS
	// ServerVersion is the x-ms-server-version header; default "azml".
	ServerVersion string
	// HideServerVersion leaves that header out.
	HideServerVersion bool
	// Logger gets the details of failed requests; nil drops them.
	Logger *slog.Logger
	// AccessLog gets one line, by one Write, for each request but the health
	// probe's; nil drops them. It must be safe for concurrent use.
	AccessLog io.Writer
}

// Stats are the numbers that scaling decisions need.
type Stats struct {
	// Replicas counts all replicas.
	Replicas int
	// Ready counts those that can take calls.
	Ready int
	// Busy counts those with at least one call under way.
	Busy int
	// Calls counts the calls under way.
	Calls int
	// Queued counts the requests that wait for a replica.
	Queued int
}

// Server is the HTTP handler of a web service. It is safe for concurrent use.
// It reads a request's body whole before it takes a replica, so slow clients
// hold no replica; time limits for reading belong to the http.Server.
type Server struct {
	cfg     Config
	pool    *pool
	swagger *swaggerDocs
}

// NewServer checks the configuration and reads the swagger files. It starts
// nothing. Errors: ErrInvalid.
func NewServer(cfg Config) (*Server, error) {
	if len(cfg.Replicas) == 0 {
		return nil, fmt.Errorf("%w: a scoring server needs at least one replica", azml.ErrInvalid)
	}
	cfg = cfg.withDefaults()
	swagger, err := newSwaggerDocs(&cfg)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, swagger: swagger, pool: &pool{maxWait: cfg.MaxQueueWait, maxQueue: cfg.MaxQueue}}
	s.pool.set(cfg.Replicas, cfg.MaxConcurrent)
	return s, nil
}

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = "ML service"
	}
	if c.Version == "" {
		c.Version = "1.0"
	}
	if c.ScoringTimeout <= 0 {
		c.ScoringTimeout = defaultTimeout
	}
	if c.MaxQueueWait <= 0 {
		c.MaxQueueWait = defaultWait
	}
	if c.MaxQueue <= 0 {
		c.MaxQueue = defaultMaxQueue
	}
	if c.MaxBody <= 0 {
		c.MaxBody = defaultMaxBody
	}
	if c.Schema == nil {
		c.Schema = c.Replicas[0].Traits().Schema
	}
	if c.ServerVersion == "" {
		c.ServerVersion = "azml"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// SetReplicas replaces the replicas while requests are served, and returns
// when the last call of those that were dropped has ended, so that the caller
// can close them. When ctx ends first, its error is returned; the change
// stays. Errors: ErrInvalid (no replica), the context's.
func (s *Server) SetReplicas(ctx context.Context, replicas []Scorer) error {
	if len(replicas) == 0 {
		return fmt.Errorf("%w: a scoring server needs at least one replica", azml.ErrInvalid)
	}
	return drained(ctx, s.pool.set(replicas, s.cfg.MaxConcurrent))
}

// Shutdown answers every further request with 503 and returns when the last
// call has ended, or with ctx's error when that ends first.
func (s *Server) Shutdown(ctx context.Context) error {
	return drained(ctx, s.pool.end())
}

func drained(ctx context.Context, dropped []*replica) error {
	for _, r := range dropped {
		select {
		case <-r.gone:
		case <-ctx.Done():
			return fmt.Errorf("%w: calls are still under way: %w", azml.ErrUnavailable, ctx.Err())
		}
	}
	return nil
}

// Stats counts replicas and requests at this moment.
func (s *Server) Stats() Stats { return s.pool.stats() }

// ServeHTTP answers one request under the scoring contract.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := &recorder{ResponseWriter: w}
	if r.URL.Path == "/" {
		s.health(rec, r)
		return
	}
	started := time.Now()
	defer func() { s.access(rec, r, started) }()
	header := rec.Header()
	ids, problem := requestIDs(r.Header)
	s.commonHeaders(header, r, ids)
	if problem != "" {
		refuse(rec, http.StatusRequestHeaderFieldsTooLarge, problem)
		return
	}
	if preflight := s.cors(header, r); preflight {
		rec.WriteHeader(http.StatusOK)
		return
	}
	switch r.URL.Path {
	case "/score":
		s.score(rec, r, ids)
	case "/swagger.json":
		s.swaggerJSON(rec, r)
	default:
		refuse(rec, http.StatusNotFound, "There is nothing at this path. The service has /, /score and /swagger.json.")
	}
}

// health tells a probe whether any replica can take calls. It takes no replica
// and no place in the queue, so a long call can't make the service look dead.
func (s *Server) health(w *recorder, r *http.Request) {
	ids, problem := requestIDs(r.Header)
	s.commonHeaders(w.Header(), r, ids)
	if problem != "" {
		refuse(w, http.StatusRequestHeaderFieldsTooLarge, problem)
		return
	}
	if !allowMethods(w, r, http.MethodGet, http.MethodHead, http.MethodOptions) {
		return
	}
	if s.pool.ready() != nil {
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, "No replica of the service is ready.")
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if r.Method != http.MethodOptions {
		_, _ = io.WriteString(w, "Healthy") // a probe that is gone needs no answer
	}
}
