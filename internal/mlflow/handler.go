package mlflow

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/index"
)

// Options are the options of New.
type Options struct {
	// Principal names who sends the request, for the author of what it changes
	// and the audit log; nil, or an empty name, means the workspace's own user.
	Principal func(*http.Request) string
	// Authorize refuses a request, for what it would do, by an error, as a rule
	// of class ErrDenied; nil lets everybody do everything. It is asked once it
	// is known which route serves the request, and before anything is read of
	// its body.
	Authorize func(*http.Request, Access) error
}

// Handler answers MLflow clients. It is safe for concurrent use.
type Handler struct {
	core    core.Handle
	opts    Options
	routes  router
	writers *writers
	updates *updates
	scope   *scope
	loggers *loggers

	// defaultStored says that the experiment Default is known to be stored.
	defaultStored atomic.Bool

	latestKnown latestCache
	halfRead    halfRead
	sentBefore  sentCache
}

// New makes the handler of a workspace, which ends with it: closing the
// workspace makes durable what clients have logged. Nil options are the zero
// Options.
func New(h core.Handle, opts *Options) (*Handler, error) {
	if opts == nil {
		opts = &Options{}
	}
	handler := newHandler(h, opts)
	if err := h.Serve(handler.writers.run); err != nil {
		return nil, err
	}
	return handler, nil
}

func newHandler(h core.Handle, opts *Options) *Handler {
	return &Handler{core: h, opts: *opts, routes: newRouter(), writers: newWriters(h),
		updates: &updates{queues: map[string]*[]*update{}}, latestKnown: latestCache{runs: map[string]known{}},
		loggers: &loggers{known: map[logger]*toldLast{}}, sentBefore: sentCache{items: map[index.State]sent{}}}
}

// Settle stores what clients have logged, for who ends serving. What it can't
// store until ctx ends stays in the spool. Clients can go on.
func (h *Handler) Settle(ctx context.Context) { h.writers.settle(ctx) }

// call is one request, on behalf of who sent it.
type call struct {
	*Handler
	// core shadows the handler's own: it writes in the sender's name.
	core core.Handle
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := call{Handler: h, core: h.core}
	if h.opts.Principal != nil {
		if who := h.opts.Principal(r); who != "" {
			c.core = h.core.As(who)
		}
	}
	to, params, err := h.routes.find(r.Method, r.URL.EscapedPath())
	if err == nil && h.opts.Authorize != nil {
		err = h.opts.Authorize(r, to.access)
	}
	if err == nil {
		err = h.scope.checkPath(r.URL.EscapedPath())
	}
	if err == nil {
		err = to.serve(c, w, r, params)
	}
	if err != nil {
		c.fail(w, r, err)
	}
}

// endpoint serves one route. params are what the path has in the places of the
// route's wildcards, decoded. An error is answered by who called it; then
// nothing has been written yet.
type endpoint func(c call, w http.ResponseWriter, r *http.Request, params []string) error

// route is one line of the tables of routes.
type route struct {
	// method is the HTTP method.
	method string
	// path begins behind the prefix. A part "{}" stands for any one part, a
	// last part "{...}" for all that is left.
	path string
	// serve answers.
	serve endpoint
}

// tables are all routes by their prefix.
func tables() map[string][]route {
	v2 := slices.Concat(experimentRoutes(), runRoutes(), logRoutes(), historyRoutes(), artifactRoutes(), uploadRoutes(), loggedModelRoutes(),
		registeredModelRoutes(), modelVersionRoutes(), datasetRoutes())
	return map[string][]route{
		"/api/2.0": v2, "/ajax-api/2.0": v2,
		"/api/3.0": infoRoutes(), "/ajax-api/3.0": infoRoutes(),
		"": plainRoutes(),
	}
}

// unserved are the parts of MLflow's interface that this handler knows and does
// not serve; all else is no part of it.
var unserved = []string{
	"assistant", "create-promptlab-run", "datasets", "demo", "gateway", "gateway-proxy", "genai", "get-online-trace-details", "get-trace-artifact", "graphql", "issues",
	"jobs", "label-schemas", "mcp-servers", "presigned-download-url", "presigned-upload-url", "prompt-optimization", "review-queues", "scorer",
	"scorers", "skills", "traces", "ui-telemetry", "unified-traces", "webhooks", "workspaces",
}

// unservedPart gives the part of MLflow's interface that a path without a route
// belongs to, empty for none.
func unservedPart(path string) string {
	for part := range strings.SplitSeq(path, "/") {
		if slices.Contains(unserved, part) {
			return part
		}
	}
	return ""
}

// notServed gives the error for a path without a route.
func notServed(path string) error {
	if unservedPart(path) != "" {
		return failf(codeNotImplemented, "%s is not served here: it is one of the parts of MLflow, such as traces and the gateway, that are not implemented", path)
	}
	return failf(codeEndpointNotFound, "No endpoint at %s", path)
}
