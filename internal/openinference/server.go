package openinference

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/azml-go/azml"
)

// TensorMetadata says what a tensor of a model is.
type TensorMetadata struct {
	// Name is the tensor's name.
	Name string `json:"name"`
	// Datatype is the type of its values.
	Datatype Datatype `json:"datatype"`
	// Shape is the length of each dimension, -1 for any.
	Shape []int64 `json:"shape"`
}

// Metadata says what a model is.
type Metadata struct {
	// Name is the model's name.
	Name string `json:"name"`
	// Versions are the versions that can be asked.
	Versions []string `json:"versions,omitempty"`
	// Platform says what runs it, such as "azml_python".
	Platform string `json:"platform"`
	// Inputs are the tensors that it takes, empty when nobody has said it.
	Inputs []TensorMetadata `json:"inputs"`
	// Outputs are the tensors that it gives.
	Outputs []TensorMetadata `json:"outputs"`
}

// Model is a model, or a version of one, that can be asked.
type Model struct {
	// Metadata says what it is.
	Metadata Metadata
	// Version is the version that answers, as the client is told.
	Version string
	// Ready tells why it can't be asked now, nil when it can.
	Ready func() error
	// Score asks it: JSON in, JSON out. An error that wraps azml.ErrInvalid is the
	// client's fault, one that wraps azml.ErrUnavailable passes; the text of any
	// other error is not for clients.
	Score func(ctx context.Context, body []byte) ([]byte, error)
	// Tensors, when not nil, asks it instead of Score: the inputs that Metadata names,
	// in any order.
	Tensors func(ctx context.Context, inputs []Tensor) ([]Tensor, error)
	// Successor, when not nil, finds who answers instead when Score or Tensors gives
	// ErrReplaced.
	Successor func(ctx context.Context) (*Model, error)
}

// State is the state of a model in the index.
type State string

// The states of a model.
const (
	// Ready says that it can be asked.
	Ready State = "READY"
	// Loading says that it is being made ready.
	Loading State = "LOADING"
	// Unloading says that it is being put away.
	Unloading State = "UNLOADING"
	// Unavailable says that it can't be asked.
	Unavailable State = "UNAVAILABLE"
)

// Entry is one line of the index.
type Entry struct {
	// Name is the model's name.
	Name string `json:"name"`
	// Version is its version.
	Version string `json:"version,omitempty"`
	// State says whether it can be asked.
	State State `json:"state"`
	// Reason says why it can't.
	Reason string `json:"reason"`
}

// ErrReplaced says that another model has taken the place of this one, which takes no more
// requests.
var ErrReplaced = fmt.Errorf("%w: the model was replaced", azml.ErrUnavailable)

// ErrUnloaded says that a model was unloaded, and not loaded since.
var ErrUnloaded = fmt.Errorf("%w: the model was unloaded: load it to ask it", azml.ErrUnavailable)

// Repository is where a server has its models from. It is safe for concurrent use.
type Repository interface {
	// Model finds a model; version "" is the repository's choice. Errors:
	// ErrNotFound.
	Model(ctx context.Context, name, version string) (*Model, error)
	// Index lists all models.
	Index(ctx context.Context) ([]Entry, error)
	// Load makes a model ready; it returns when it is. Errors: ErrNotFound,
	// ErrDenied, ErrFailed with a text for the client.
	Load(ctx context.Context, name string) error
	// Unload puts a model away; it returns when it is. Errors: as Load.
	Unload(ctx context.Context, name string) error
}

// Options say what a server tells of itself, and its bounds.
type Options struct {
	// Name is the server's name.
	Name string
	// Version is the server's version.
	Version string
	// MaxBody bounds the body of a request, in bytes.
	MaxBody int64
	// ReadBody reads the body of a request over HTTP, unless it is nil: then MaxBody is
	// all that bounds it. Its errors are *http.MaxBytesError, those that wrap
	// azml.ErrUnavailable, and those of a body that can't be read.
	ReadBody func(r *http.Request) ([]byte, error)
	// Failed is told of errors whose text is not for clients.
	Failed func(err error)
}

// server answers the protocol's routes.
type server struct {
	models Repository
	opts   Options
}

// NewHandler answers all paths below /v2. Who may ask is the caller's business.
func NewHandler(models Repository, opts Options) http.Handler {
	if opts.ReadBody == nil {
		opts.ReadBody = func(r *http.Request) ([]byte, error) {
			return io.ReadAll(http.MaxBytesReader(nil, r.Body, opts.MaxBody))
		}
	}
	s := &server{models, opts}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2", s.metadata)
	mux.HandleFunc("GET /v2/{$}", s.metadata)
	mux.HandleFunc("GET /v2/health/live", s.live)
	mux.HandleFunc("GET /v2/health/ready", s.ready)
	mux.HandleFunc("POST /v2/repository/index", s.index)
	mux.HandleFunc("POST /v2/repository/models/{model}/load", s.change(Repository.Load))
	mux.HandleFunc("POST /v2/repository/models/{model}/unload", s.change(Repository.Unload, "unload_dependents")) // there are none
	for _, at := range []string{"/v2/models/{model}", "/v2/models/{model}/versions/{version}"} {
		mux.HandleFunc("GET "+at, s.of(s.modelMetadata))
		mux.HandleFunc("GET "+at+"/ready", s.of(s.modelReady))
		mux.HandleFunc("POST "+at+"/infer", s.of(s.infer))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusNotFound, problem{fmt.Sprintf("there is no %s %s", r.Method, r.URL.Path)})
	})
	return mux
}

// problem is the body of an answer that is an error.
type problem struct {
	Error string `json:"error"`
}

func answer(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil { // a number that JSON has no word for
		status, data = http.StatusInternalServerError, []byte(`{"error":"the answer can't be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // who went away wants no answer
}

// refuse answers with an error: its text where it is the client's to know.
func (s *server) refuse(w http.ResponseWriter, err error) {
	status, text := http.StatusInternalServerError, "the model has failed"
	switch {
	case errors.Is(err, azml.ErrNotFound):
		status, text = http.StatusNotFound, err.Error()
	case errors.Is(err, azml.ErrInvalid):
		status, text = http.StatusBadRequest, err.Error()
	case errors.Is(err, azml.ErrDenied):
		status, text = http.StatusForbidden, err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		status, text = http.StatusGatewayTimeout, "the model took too long"
	case errors.Is(err, ErrUnloaded):
		status, text = http.StatusServiceUnavailable, err.Error()
	case errors.Is(err, azml.ErrUnavailable):
		status, text = http.StatusServiceUnavailable, "the model can't be asked now"
		w.Header().Set("Retry-After", "1")
	}
	if s.opts.Failed != nil && status >= http.StatusInternalServerError {
		s.opts.Failed(err)
	}
	answer(w, status, problem{text})
}

func (s *server) metadata(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, struct {
		Name       string   `json:"name"`
		Version    string   `json:"version"`
		Extensions []string `json:"extensions"`
	}{s.opts.Name, s.opts.Version, Extensions()})
}

func (s *server) live(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]bool{"live": true})
}

// ready answers whether all models can be asked.
func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	ready, err := AllReady(r.Context(), s.models)
	if err != nil {
		s.refuse(w, err)
		return
	}
	answer(w, status(ready), map[string]bool{"ready": ready})
}

// Extensions are the parts of the protocol beyond the required ones that a server
// has.
func Extensions() []string { return []string{"model_repository"} }

// AllReady tells whether all models can be asked. Errors: those of Index.
func AllReady(ctx context.Context, models Repository) (bool, error) {
	entries, err := models.Index(ctx)
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(entries, func(e Entry) bool { return e.State != Ready }), nil
}

// status is that of an answer about being ready, which health checks look at alone.
func status(ready bool) int {
	if ready {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

// readAsked reads what a request about the repository asks for, whose body may be empty.
func readAsked(w http.ResponseWriter, r *http.Request, asked any) error {
	const most = 64 << 10
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err == nil && len(body) > 0 {
		err = json.Unmarshal(body, asked)
	}
	if err != nil {
		return fmt.Errorf("%w: the body is no request to the repository: %w", azml.ErrInvalid, err)
	}
	return nil
}

func (s *server) index(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Ready bool `json:"ready"`
	}
	if err := readAsked(w, r, &asked); err != nil {
		s.refuse(w, err)
		return
	}
	all, err := s.models.Index(r.Context())
	if err != nil {
		s.refuse(w, err)
		return
	}
	entries := []Entry{}
	for _, e := range all {
		if !asked.Ready || e.State == Ready {
			entries = append(entries, e)
		}
	}
	answer(w, http.StatusOK, entries)
}

// change answers to load and unload.
func (s *server) change(do func(Repository, context.Context, string) error, parameters ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := checkChange(w, r, parameters)
		if err == nil {
			err = do(s.models, r.Context(), r.PathValue("model"))
		}
		switch {
		case err == nil:
			w.WriteHeader(http.StatusOK)
		case errors.Is(err, azml.ErrFailed):
			answer(w, http.StatusInternalServerError, problem{err.Error()})
		default:
			s.refuse(w, err)
		}
	}
}

// checkChange tells what is wrong with the body of a request to load or unload, which has
// parameters of truth values or is empty: what would change the model is not passed over.
func checkChange(w http.ResponseWriter, r *http.Request, parameters []string) error {
	var asked struct {
		Parameters map[string]any `json:"parameters"`
	}
	if err := readAsked(w, r, &asked); err != nil {
		return err
	}
	for name, value := range asked.Parameters {
		if _, is := value.(bool); !is || !slices.Contains(parameters, name) {
			return fmt.Errorf("%w: the parameter %q is not taken: a model is loaded and unloaded as it was deployed", azml.ErrInvalid, name)
		}
	}
	return nil
}

// of finds the model that the path names.
func (s *server) of(do func(http.ResponseWriter, *http.Request, *Model)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		m, err := s.models.Model(r.Context(), r.PathValue("model"), r.PathValue("version"))
		if err != nil {
			s.refuse(w, err)
			return
		}
		do(w, r, m)
	}
}

func (s *server) modelMetadata(w http.ResponseWriter, _ *http.Request, m *Model) {
	view := m.Metadata
	if view.Inputs == nil {
		view.Inputs = []TensorMetadata{}
	}
	if view.Outputs == nil {
		view.Outputs = []TensorMetadata{}
	}
	answer(w, http.StatusOK, view)
}

func (s *server) modelReady(w http.ResponseWriter, _ *http.Request, m *Model) {
	ready := m.Ready() == nil
	answer(w, status(ready), struct {
		Name  string `json:"name"`
		Ready bool   `json:"ready"`
	}{m.Metadata.Name, ready})
}

func (s *server) infer(w http.ResponseWriter, r *http.Request, m *Model) {
	body, err := s.opts.ReadBody(r)
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		answer(w, http.StatusRequestEntityTooLarge, problem{fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit)})
		return
	}
	if errors.Is(err, azml.ErrUnavailable) {
		s.refuse(w, err)
		return
	}
	if err != nil {
		answer(w, http.StatusBadRequest, problem{"the body could not be read"})
		return
	}
	req, err := ParseRequest(body)
	if err != nil {
		s.refuse(w, err)
		return
	}
	out, err := m.Infer(r.Context(), req)
	if err != nil {
		s.refuse(w, err)
		return
	}
	answer(w, http.StatusOK, out)
}
