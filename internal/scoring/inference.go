package scoring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/openinference"
	"github.com/azml-go/azml/internal/router"
)

// inferencePath begins the paths of the Open Inference Protocol.
const inferencePath = "/v2"

// maxInference bounds the answer of a model to an inference.
const maxInference = 1 << 30

// inference answers the Open Inference Protocol: the service is one model, and its
// deployments are the model's versions. Whether it lives and is ready is told to
// everybody, as probes have no key.
func (s *Server) inference(w *recorder, r *http.Request) {
	open := r.URL.Path == inferencePath+"/health/live" || r.URL.Path == inferencePath+"/health/ready"
	if !open && !s.authorized(w, r) {
		return
	}
	s.seen(w, r)
	s.protocol.ServeHTTP(w, r.WithContext(context.WithValue(w.ctx, recorderKey{}, w)))
}

// recorderKey is the key of a request's recorder in its context, for what is asked by
// the protocol's handler. A request over a connection of its own has none.
type recorderKey struct{}

func recorderOf(ctx context.Context) *recorder {
	w, _ := ctx.Value(recorderKey{}).(*recorder)
	return w
}

// newProtocol makes the handler of the protocol.
func (s *Server) newProtocol() http.Handler {
	opts := s.inferenceOptions()
	opts.ReadBody = func(r *http.Request) ([]byte, error) { return s.readBody(recorderOf(r.Context()), r) }
	return openinference.NewHandler(repository{s}, opts)
}

func (s *Server) inferenceOptions() openinference.Options {
	return openinference.Options{Name: s.cfg.ServerVersion, Version: "2", MaxBody: s.limits.Load().maxBody,
		Failed: func(err error) { s.cfg.Logger.Error("inference failed", "error", err) }}
}

// Inference is a service as servers of the Open Inference Protocol see it that have
// a connection of their own. It is safe for concurrent use.
type Inference struct{ s *Server }

// Inference gives the service for other servers of the protocol.
func (s *Server) Inference() Inference { return Inference{s} }

// Models are the service as a model, and its deployments as the versions of it.
func (i Inference) Models() openinference.Repository { return repository(i) }

// Options say what the service tells of itself, and its bounds now.
func (i Inference) Options() openinference.Options { return i.s.inferenceOptions() }

// Admits tells why what a client sent as Authorization does not let it in, "" when
// it does.
func (i Inference) Admits(authorization string) (why string) { return i.s.admits(authorization) }

// Begin gives the context in which the models are asked for a request over such a
// connection: scoring code, collected data and the log are told of it as of one over
// HTTP. It makes the request's ID, if there is none among the headers. Errors: ErrInvalid.
func (i Inference) Begin(ctx context.Context, req *Request) (context.Context, *Asked, error) {
	ids, problem := requestIDs(req.Header)
	a := &Asked{recorder{ResponseWriter: headersOnly{header: http.Header{}}, request: *req,
		call: Call{ID: ids.request, Method: req.Method, Path: req.Path, Began: time.Now()}}}
	a.request.ID = ids.request
	i.s.commonHeaders(&a.recorder, &http.Request{Header: req.Header}, ids)
	if !i.s.open() {
		delete(req.Header, "Authorization") // the key has done its work
	}
	if problem != "" {
		return ctx, a, fmt.Errorf("%w: %s", azml.ErrInvalid, problem)
	}
	return context.WithValue(ctx, recorderKey{}, &a.recorder), a, nil
}

// Asked is a request over a connection that is not the server's.
type Asked struct{ recorder }

// headersOnly takes the headers of an answer whose rest is not the server's to write.
type headersOnly struct {
	http.ResponseWriter
	header http.Header
}

// Header gives the headers.
func (h headersOnly) Header() http.Header { return h.header }

// Headers are for the answer; those of scoring code come when it has answered.
func (a *Asked) Headers() http.Header { return a.Header() }

// Call is what the log of requests tells of it.
func (a *Asked) Call() *Call { return &a.call }

// Note writes a line of the log of requests.
func (i Inference) Note(c *Call) { i.s.note(c, time.Now()) }

// repository shows what the server serves as one model.
type repository struct{ s *Server }

// Model implements openinference.Repository. Without a version it is the
// deployment that a header names, as for /score, or one by its share of the traffic.
func (r repository) Model(ctx context.Context, name, version string) (*openinference.Model, error) {
	return r.model(ctx, name, version, false)
}

// model is Model; again says that a deployment was asked already, which has been replaced.
func (r repository) model(ctx context.Context, name, version string, again bool) (*openinference.Model, error) {
	if err := r.known(name); err != nil {
		return nil, err
	}
	if asked := recorderOf(ctx); version == "" && asked != nil {
		version = first(asked.request.Header, headerDeployment)
	}
	table := r.s.table.Load()
	route, ok := table.Pick(version)
	switch {
	case !ok && version != "":
		return nil, fmt.Errorf("%w: the model has no version %q: they are named as the deployments of the service", azml.ErrNotFound, version)
	case !ok:
		return nil, fmt.Errorf("%w: no deployment has traffic: name a version", azml.ErrUnavailable)
	}
	d := route.To
	if w := recorderOf(ctx); w != nil {
		w.call.Deployment = d.Name()
	}
	asked := inferred{r.s, d, version, again}
	m := &openinference.Model{Version: d.Name(), Ready: d.Available, Score: asked.body,
		Successor: func(ctx context.Context) (*openinference.Model, error) { return r.model(ctx, name, version, true) },
		Metadata:  openinference.Metadata{Name: name, Platform: "azml", Inputs: d.cfg.Inputs, Outputs: d.cfg.Outputs}}
	if d.traits.Inputs != nil && d.cfg.Observe == nil && !table.Mirrors(d.Name()) { // who observes or gets copies is shown bodies
		m.Tensors = asked.tensors
	}
	for _, other := range table.Routes() {
		m.Metadata.Versions = append(m.Metadata.Versions, other.Name)
	}
	return m, nil
}

// inferred is a deployment that the protocol asks.
type inferred struct {
	s       *Server
	d       *Deployment
	version string // that was asked for, "" for any
	again   bool   // after one that has been replaced
}

// replaced tells whether another deployment is in its place.
func (i inferred) replaced() bool {
	route, ok := i.s.table.Load().Pick(i.version)
	return ok && route.To != i.d
}

// body scores a body for the protocol. What the script says of a request that it
// refuses is for the client.
func (i inferred) body(ctx context.Context, body []byte) ([]byte, error) {
	got, err := i.answerTo(ctx, question(body))
	switch {
	case err != nil:
		return nil, err
	case got.status == http.StatusOK:
		return got.body, nil
	case got.status >= http.StatusBadRequest && got.status < http.StatusInternalServerError:
		return nil, fmt.Errorf("%w: %s", azml.ErrInvalid, message(got.body))
	}
	return nil, fmt.Errorf("the model's answer has the status %d", got.status)
}

// tensors scores tensors that were held against the inputs, without writing them
// as JSON and reading that.
func (i inferred) tensors(ctx context.Context, inputs []openinference.Tensor) ([]openinference.Tensor, error) {
	req := question(nil)
	req.tensors = fromProtocol(inputs, i.d.cfg.Inputs)
	got, err := i.answerTo(ctx, req)
	if err != nil {
		return nil, err
	}
	return toProtocol(got.tensors)
}

// answerTo asks and counts. The question has what its request has of the room until it
// is answered, which may be after the client has got an error.
func (i inferred) answerTo(ctx context.Context, req *Request) (reply, error) {
	of := recorderOf(ctx)
	began := time.Now()
	if of != nil {
		req.asIn(&of.request)
		req.share = &share{}
		*req.share, of.share = of.share, share{}
	}
	if req.tensors == nil && !i.again {
		i.s.mirror(i.d, req)
	}
	got, err := i.d.ask(ctx, req, maxInference)
	if errors.Is(err, router.ErrDrained) && i.replaced() {
		if of != nil {
			of.share = *req.share
		}
		return reply{}, openinference.ErrReplaced
	}
	if err == nil && of != nil {
		of.share, of.call.Ran = *req.share, got.ran
		of.tell(got.header)
	}
	i.d.count(counted(got.status, err), time.Since(began))
	return got, err
}

// tell gives the answer the headers that scoring code has set, but for those of its body.
func (r *recorder) tell(said http.Header) {
	for name, values := range said {
		if !ownHeader(name) && name != "Content-Type" && name != headerRunFailed && name != headerRunMilliseconds {
			r.Header()[name] = values
		}
	}
}

// asIn takes over what scorers see of the request that the question was made of, but for
// its body. The headers are a copy: the scorer may outlast the request.
func (r *Request) asIn(of *Request) {
	kind := r.Header["Content-Type"]
	r.Host, r.RemoteAddr, r.ID, r.Header = of.Host, of.RemoteAddr, of.ID, of.Header.Clone()
	r.Header["Content-Type"] = kind
	delete(r.Header, "Content-Length")
}

// counted gives the status under which a request is counted.
func counted(status int, err error) int {
	switch {
	case err == nil:
		return status
	case errors.Is(err, azml.ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	case errors.Is(err, azml.ErrUnavailable):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// message gives what an answer that refuses a request says.
func message(answer []byte) string {
	var said struct{ Message string }
	if json.Unmarshal(answer, &said) == nil && said.Message != "" {
		return said.Message
	}
	return "the model refuses the request"
}

// Index implements openinference.Repository.
func (r repository) Index(context.Context) ([]openinference.Entry, error) {
	entries := []openinference.Entry{}
	for _, route := range r.s.table.Load().Routes() {
		e := route.To.entry()
		e.Name = r.s.cfg.Service
		entries = append(entries, e)
	}
	return entries, nil
}

// errControl says how loading and unloading is switched on.
var errControl = fmt.Errorf("%w: models are not loaded and unloaded by clients here: whoever serves the endpoint switches it on "+
	"by azml endpoint serve --model-control explicit, or ServeOptions.ModelControl", azml.ErrDenied)

// errOpen says why whoever may ask may not load and unload: any web page could, by the
// browser of somebody who reaches the service.
var errOpen = fmt.Errorf("%w: models are not loaded and unloaded by clients while the endpoint lets everybody in: "+
	"switch authentication on, by azml endpoint update --auth key, or endpoint.Update.Auth", azml.ErrDenied)

// control tells why clients may not load and unload now.
func (r repository) control() error {
	switch {
	case !r.s.cfg.ModelControl:
		return errControl
	case r.s.open():
		return errOpen
	}
	return nil
}

// Load implements openinference.Repository: what is deployed is loaded, unless it was
// unloaded.
func (r repository) Load(ctx context.Context, name string) error {
	if err := r.known(name); err != nil {
		return err
	}
	if err := r.control(); err != nil {
		if r.loaded() {
			return nil
		}
		return err
	}
	return r.change(ctx, "loaded", (*Deployment).Load)
}

// Unload implements openinference.Repository.
func (r repository) Unload(ctx context.Context, name string) error {
	if err := r.known(name); err != nil {
		return err
	}
	if err := r.control(); err != nil {
		return err
	}
	return r.change(ctx, "unloaded", (*Deployment).Unload)
}

// known tells when there is no such model.
func (r repository) known(name string) error {
	if name != r.s.cfg.Service {
		return fmt.Errorf("%w: there is no model %q: its name is that of the service, %q", azml.ErrNotFound, name, r.s.cfg.Service)
	}
	return nil
}

// loaded tells whether all of the model can be asked.
func (r repository) loaded() bool {
	return !slices.ContainsFunc(r.s.table.Load().Routes(), func(route router.Route[*Deployment]) bool { return route.To.Available() != nil })
}

// errEnding says that what a client has asked for is not done any more.
var errEnding = fmt.Errorf("%w: the service is ending: nothing is loaded or unloaded any more", azml.ErrUnavailable)

// change loads or unloads all deployments, one change of the model after the other. When
// who asked is gone, one that has begun goes on, as a load may take longer than a client
// waits, and one that has not is dropped, as the client may ask for it again.
func (r repository) change(ctx context.Context, what string, do func(*Deployment, context.Context) error) error {
	if err := r.s.changing.take(ctx); err != nil {
		return err
	}
	defer r.s.changing.give()
	if err := ctx.Err(); err != nil {
		return err
	}
	routes := r.s.table.Load().Routes()
	if r.s.ending.Load() { // it may have taken all routes away
		return errEnding
	}
	var failed error
	for _, route := range routes {
		err := do(route.To, context.WithoutCancel(ctx))
		if errors.Is(err, azml.ErrClosed) {
			if r.s.ending.Load() {
				return errors.Join(failed, errEnding)
			}
			continue // another one has taken its place meanwhile
		}
		if err != nil {
			r.s.cfg.Logger.Error("the model was not "+what+" in order", "deployment", route.Name, "error", err)
			failed = errors.Join(failed, fmt.Errorf("%w: deployment %q: %w", azml.ErrFailed, route.Name, err))
			continue
		}
		r.s.cfg.Logger.Info("the model was "+what+" by a client", "deployment", route.Name)
	}
	return failed
}
