package scoring

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/azml-go/azml/internal/telemetry"
)

// Names of the contract's headers.
const (
	headerRequestID       = "X-Request-Id"
	headerLegacyID        = "X-Ms-Request-Id"
	headerClientID        = "X-Ms-Client-Request-Id"
	headerServerVersion   = "X-Ms-Server-Version"
	headerRunMilliseconds = "X-Ms-Run-Fn-Exec-Ms"
	headerRunFailed       = "X-Ms-Run-Function-Failed"
	headerTraceID         = "Traceid"
	headerDeployment      = "Azureml-Model-Deployment"
)

// recorder is a request that is being answered, with what log and telemetry tell of it.
type recorder struct {
	http.ResponseWriter
	ctx      context.Context //nolint:containedctx // the request's, with its span
	begun    telemetry.Begun
	heads    Heads   // nil when all headers have to go through net/http
	request  Request // what the scorer sees
	call     Call
	status   int
	size     int64
	share    share         // of the room for bodies
	asked    time.Duration // from the beginning until the body was there
	by       *Deployment
	gone     bool // the client did not wait for the answer
	brokeOff bool // whoever answers has not returned
}

// setHeader sets a header, whose name is in canonical form, once in an answer.
func (r *recorder) setHeader(name, value string) {
	if r.heads != nil && strings.IndexByte(value, '\n') < 0 && strings.IndexByte(value, '\r') < 0 { // of which net/http makes spaces
		r.heads.AddHeader(name, value)
	} else {
		r.Header()[name] = []string{value}
	}
}

// Unwrap lets http.ResponseController find the real writer.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// WriteHeader remembers the status, and tells which deployment answers.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
		if r.by != nil {
			r.setHeader(headerDeployment, r.by.Name())
		}
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write counts the body's bytes.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	n, err := r.ResponseWriter.Write(p)
	r.size += int64(n)
	return n, err
}

// Heads is a connection that takes headers of the answer that is written to it next. They
// go past net/http, in which each costs a place in a map, in a copy of that and in a sorted
// list, and checks. Names and values have to be valid. It is for one goroutine at a time.
type Heads interface {
	// AddHeader adds a header to the answer that is written next.
	AddHeader(name, value string)
}

type headsKey struct{}

// WithHeads gives the context of a connection that is one.
func WithHeads(ctx context.Context, h Heads) context.Context {
	return context.WithValue(ctx, headsKey{}, h)
}

var (
	jsonType   = []string{"application/json"}
	jsonHeader = http.Header{"Content-Type": jsonType}
)

// refuse answers with a status and {"message": text}.
func refuse(w http.ResponseWriter, status int, text string) {
	body, _ := json.Marshal(map[string]string{"message": text}) // strings always have a JSON form
	header := w.Header()
	header["Content-Type"] = jsonType
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	if header.Get(headerRunFailed) == "" {
		header.Set(headerRunFailed, "False")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}

// allowMethods refuses a request whose method is not among the given ones.
func allowMethods(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	if slices.Contains(methods, r.Method) {
		return true
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	refuse(w, http.StatusMethodNotAllowed, "The method is not allowed for the requested URL.")
	return false
}

// pythonBool is how the contract's header writes a truth value.
func pythonBool(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

// reply sends a scorer's response.
func (s *Server) reply(w *recorder, resp *Response) error {
	header := w.Header()
	failed := resp.Failed || resp.Status >= http.StatusInternalServerError
	tells := failed && !resp.told || first(resp.Header, headerRunFailed) == ""
	for name, values := range resp.Header {
		if !ownHeader(name) && (name != headerRunFailed || !tells) && (name != headerRunMilliseconds || resp.Elapsed == 0) {
			header[name] = values
		}
	}
	if tells {
		w.setHeader(headerRunFailed, pythonBool(failed))
	}
	w.call.Ran = resp.Elapsed
	if resp.Elapsed > 0 {
		var text [24]byte
		w.setHeader(headerRunMilliseconds, string(appendMillis(text[:0], resp.Elapsed)))
	}
	w.WriteHeader(resp.Status)
	if _, err := w.Write(resp.Body); err != nil && resp.Stream == nil {
		return nil // the client is gone, or the status allows no body
	}
	if resp.Stream == nil {
		return nil
	}
	return copyStream(w, resp)
}

// copyStream sends each piece as soon as it is there. Its error means that the
// scorer broke off, so the answer isn't whole.
func copyStream(w http.ResponseWriter, resp *Response) error {
	control := http.NewResponseController(w)
	buf := make([]byte, 32<<10)
	for {
		if control.Flush() != nil {
			return nil
		}
		n, err := resp.Stream.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return nil
			}
		}
		if err != nil {
			return notEOF(err)
		}
	}
}

// ownHeader names the headers that belong to the server: those of the
// connection, and those that must be true.
func ownHeader(name string) bool {
	switch name {
	case "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Upgrade", "Trailer",
		headerRequestID, headerLegacyID, headerClientID, headerServerVersion, headerTraceID, headerDeployment:
		return true
	}
	return false
}
