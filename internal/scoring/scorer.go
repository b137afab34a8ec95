package scoring

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/azml-go/azml/internal/openinference"
)

// Scorer answers scoring requests. Implementations are safe for concurrent
// use; how many calls they get at once is the deployment's business.
type Scorer interface {
	// Score answers one request. An error that wraps azml.ErrInvalid is the
	// client's fault and its text goes to the client; the text of any other
	// error goes to the log only. When ctx's deadline passes, the work is
	// stopped. Score returns when the work has ended, not before: work that
	// can't be interrupted may go on after ctx was cancelled.
	Score(ctx context.Context, req *Request) (*Response, error)
	// Ready says whether Score can be called now: nil, or the reason why not.
	// It is called often and returns at once.
	Ready() error
	// Close ends the scorer and returns when nothing of it is left; when ctx
	// ends, by force.
	Close(ctx context.Context) error
	// Traits gives the facts about the scorer that don't change in its life.
	Traits() Traits
}

// Traits are the fixed facts about a scorer.
type Traits struct {
	// Raw says that the scorer wants every method of the contract as it is,
	// OPTIONS and HEAD too, not only GET and POST.
	Raw bool
	// Ahead says that Score may have to wait until other calls have ended, and
	// tells when the time of its own call begins.
	Ahead bool
	// MLflow is the version of MLflow that serves the model, which also answers by
	// MLflow's protocol; empty for what is no model of MLflow's.
	MLflow string
	// Inputs are the tensors that a model in this process takes, and which requests
	// are held against by the scorer itself; nil for all else.
	Inputs []openinference.TensorMetadata
	// Outputs are those that it gives.
	Outputs []openinference.TensorMetadata
	// Schema describes input and output for the swagger documents, nil when
	// the scorer doesn't know.
	Schema *Schema
}

// Schema describes what a service takes and gives, as the swagger documents
// show it.
type Schema struct {
	// Input is the JSON schema of the request body; empty means any object.
	Input json.RawMessage
	// Output is the JSON schema of the answer; empty means any object.
	Output json.RawMessage
	// Versions are the swagger versions that can express the schema, among
	// "2.0", "3.0" and "3.1"; nil means all.
	Versions []string
}

// Request is one scoring request, read whole.
type Request struct {
	// Method is GET or POST; a raw scorer sees OPTIONS and HEAD too.
	Method string
	// Path is the URL's path.
	Path string
	// Query is the URL's query as it was sent, without the question mark.
	Query string
	// Host is the host that the client asked for.
	Host string
	// RemoteAddr is the client's address and port.
	RemoteAddr string
	// Header holds the request's headers in canonical form. The key that the
	// server itself checked isn't among them.
	Header http.Header
	// Body is the whole body. It belongs to the scorer.
	Body []byte
	// ID is the request's id, the client's or one the server made.
	ID string
	// Invocations says that the request is by MLflow's protocol.
	Invocations bool

	begin   func()        // begins the time of scoring; nil when that has begun
	limit   time.Duration // how long scoring may take; 0 for no limit
	share   *share        // of the room for bodies; nil for what has no bounds
	alone   bool          // a replica has ended with it: it is not to be scored with others
	tensors []Tensor      // the inputs, of a request that has no body
	batch   []int         // the lengths of the bodies in Body, of a batch; nil of one request
}

// Response is the answer to one request.
type Response struct {
	// Status is the HTTP status, 200 when it is 0.
	Status int
	// Header holds the answer's headers, nil when there are none. It may be shared
	// by many answers and is only read.
	Header http.Header
	// Body is the whole body, or its first part when Stream is set.
	Body []byte
	// Stream, when set, gives the rest of the body piece by piece. Whoever
	// got the response closes it.
	Stream io.ReadCloser
	// Elapsed is how long the user's code ran; 0 when it didn't come to that.
	Elapsed time.Duration
	// Failed says that the user's code failed, whatever the status is.
	Failed bool

	tensors []Tensor // the outputs, of a request that had tensors
	told    bool     // Header says whether the user's code failed
	parts   []part   // of a batch: the answers whose bodies are in Body
}

// size gives about how many bytes of memory the answer takes, but for what is streamed.
func (r *Response) size() int64 {
	size := int64(len(r.Body))
	for _, t := range r.tensors {
		const most = 8 // of a number
		size += most * values(t.Shape)
	}
	return size
}
