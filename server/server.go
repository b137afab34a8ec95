package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/guard"
	"github.com/azml-go/azml/internal/mlflow"
	"github.com/azml-go/azml/token"
	"github.com/azml-go/azml/workspace"
)

// Options are the options of New.
type Options struct {
	// Token is a token of the role owner that is taken beside those of the
	// workspace, for a server that another program starts. Whoever has it acts
	// in the name of who opened the workspace. It has at least 32 characters.
	Token token.Secret
	// NoAuth lets in everybody on this machine, as an owner, even when the
	// workspace has tokens.
	NoAuth bool
	// AllowedHosts are the names, without ports, under which the server may be
	// called, beside localhost and IP addresses. A browser that a stranger's
	// name has led here is turned away.
	AllowedHosts []string
	// CORSOrigins are the origins, such as "https://ml.example.com:8080", of
	// other sites whose pages may call the server. Pages of no other may.
	CORSOrigins []string
	// Logger takes the requests: as warnings those that the server failed at, as
	// infos those that were refused, as debug messages all others. Nil takes the
	// workspace's own.
	Logger *slog.Logger
}

// minToken is the least length of Options.Token, in characters.
const minToken = 32

// Server answers the clients of a workspace. It is safe for concurrent use, and
// ends with the workspace: closing that makes durable what clients have logged.
type Server struct {
	h       core.Handle
	tokens  *token.Client
	mlflow  http.Handler
	settle  func(context.Context) // stores what was logged
	opts    Options
	static  *[digestSize]byte // of Options.Token
	callers guard.Callers
	log     *slog.Logger
	limits  guard.Limits
	// observed is answer with telemetry.
	observed http.Handler
}

// New makes the server of an opened workspace. Nil options are the zero
// Options. Errors: ErrInvalid; ErrClosed.
func New(ws *workspace.Workspace, opts *Options) (_ *Server, err error) {
	defer core.Wrap(&err, "make server of", kind, ws.Name())
	if opts == nil {
		opts = &Options{}
	}
	s := &Server{h: workspace.Handle(ws), tokens: ws.Tokens(), opts: *opts, log: opts.Logger, limits: guard.DefaultLimits()}
	if s.log == nil {
		s.log = s.h.Logger()
	}
	if opts.Token != "" {
		if len(opts.Token) < minToken {
			return nil, fmt.Errorf("%w: a token of %d characters can be guessed: use at least %d random ones", azml.ErrInvalid, len(opts.Token), minToken)
		}
		s.static = new(digest(string(opts.Token)))
	}
	if s.callers, err = guard.NewCallers(opts.AllowedHosts, opts.CORSOrigins); err != nil {
		return nil, err
	}
	handler, err := mlflow.New(s.h, &mlflow.Options{Principal: principal, Authorize: authorize})
	if err != nil {
		return nil, err
	}
	s.mlflow, s.settle = handler, handler.Settle
	s.observed = s.h.Telemetry().Handler(http.HandlerFunc(s.answer), "serve client")
	return s, nil
}

const kind = "workspace"

// The codes of errors that the server itself answers with, as MLflow has them.
const (
	codeUnauthenticated = "UNAUTHENTICATED"
	codeUnavailable     = "TEMPORARILY_UNAVAILABLE"
	codeInternal        = "INTERNAL_ERROR"
)

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begun := time.Now()
	a := s.limits.Bound(w, r, begun)
	who := &caller{}
	defer s.finish(a, r, who, begun)
	s.observed.ServeHTTP(a, r.WithContext(context.WithValue(r.Context(), callerKey{}, who)))
}

// answer answers who is let in.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if !s.callers.TurnAway(w, r) && s.admit(w, r, callerOf(r.Context())) {
		s.mlflow.ServeHTTP(w, r)
	}
}

// finish ends a request: a panic becomes an error that is answered and logged
// once, and the rest of the answer has its time to go out.
func (s *Server) finish(a *guard.Answer, r *http.Request, who *caller, begun time.Time) {
	if p := recover(); p != nil {
		s.panicked(a, r, p)
	}
	a.Extend()
	if a.Status == 0 {
		a.Status = http.StatusOK // which net/http answers then
	}
	level := slog.LevelDebug
	switch {
	case a.Status == http.StatusUnauthorized, a.Status == http.StatusForbidden:
		level = slog.LevelInfo
	case a.Status >= http.StatusInternalServerError && a.Status != http.StatusNotImplemented:
		level = slog.LevelWarn
	}
	if !s.log.Enabled(r.Context(), level) {
		return
	}
	s.log.LogAttrs(r.Context(), level, "request", slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", a.Status),
		slog.Int64("bytes", a.Written), slog.Duration("took", time.Since(begun)), slog.String("who", who.name), slog.String("from", r.RemoteAddr))
}

// panicked answers what broke. An answer that has begun is cut off, so that
// nobody takes it for whole.
func (s *Server) panicked(a *guard.Answer, r *http.Request, p any) {
	if p == http.ErrAbortHandler { //nolint:errorlint // it is thrown as it is
		panic(p)
	}
	s.log.ErrorContext(r.Context(), "a request broke the server's code", "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
	if a.Status != 0 {
		panic(http.ErrAbortHandler)
	}
	mlflow.Refuse(a, http.StatusInternalServerError, codeInternal, "The server failed in a way that it should not; its log says how")
}
