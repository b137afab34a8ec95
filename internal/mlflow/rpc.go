package mlflow

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"sync"
)

// maxBody bounds the body of a request, in bytes, unless its message says
// otherwise.
const maxBody = 2 << 20

// bounded is a message with a bound of its own for its body.
type bounded interface{ maxBody() int64 }

// rpc makes the endpoint of a method with a request and an answer in JSON.
func rpc[Req, Resp any](method func(call, context.Context, *Req) (Resp, error)) endpoint {
	return func(c call, w http.ResponseWriter, r *http.Request, params []string) error {
		var req Req
		if err := readMessage(c, w, r, &req); err != nil {
			return err
		}
		if p, ok := any(&req).(interface{ setPath(params []string) }); ok {
			p.setPath(params)
		}
		resp, err := method(c, r.Context(), &req)
		if err != nil {
			return err
		}
		return writeJSON(w, resp)
	}
}

// readMessage reads the request from the query of a GET, else from the body.
func readMessage(c call, w http.ResponseWriter, r *http.Request, req any) error {
	if isRead(r.Method) {
		return decodeQuery(r.URL.Query(), req)
	}
	limit := int64(maxBody)
	if b, ok := req.(bounded); ok {
		limit = b.maxBody()
	}
	buffer := buffers.Get().(*bytes.Buffer)
	defer putBuffer(buffer)
	if _, err := buffer.ReadFrom(http.MaxBytesReader(w, r.Body, limit)); err != nil {
		return readError(err)
	}
	if buffer.Len() > 0 {
		if err := checkContentType(r.Header.Get("Content-Type")); err != nil {
			return err
		}
	}
	return decode(c.scope.mask(buffer.Bytes()), req)
}

// readError is what a body that could not be read to its end means.
func readError(err error) error {
	if _, ok := err.(*http.MaxBytesError); ok { //nolint:errorlint // it is never wrapped
		return err
	}
	return failf(codeBadRequest, "The body of the request could not be read: %v", err)
}

// checkContentType keeps web pages of other sites out: a browser sends JSON to
// them only after it has asked.
func checkContentType(value string) error {
	if value == jsonType {
		return nil
	}
	if media, _, err := mime.ParseMediaType(value); err == nil && media == jsonType {
		return nil
	}
	return invalid("Bad Request. Content-Type must be one of ['application/json'].")
}

const jsonType = "application/json"

// buffers hold bodies of requests.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// putBuffer keeps the buffer for the next request unless it is a great one.
func putBuffer(b *bytes.Buffer) {
	if b.Cap() <= maxBody {
		b.Reset()
		buffers.Put(b)
	}
}

// nothing is the answer {}.
type nothing struct{}

var emptyAnswer = []byte("{}")

// streamed is an answer that may be long: it goes out while it is made.
type streamed interface{ writeTo(*bufio.Writer) }

// streamBuffer is how much of a streamed answer is sent at once.
const streamBuffer = 32 << 10

// writeJSON answers with the message.
func writeJSON(w http.ResponseWriter, message any) error {
	if s, ok := message.(streamed); ok {
		w.Header().Set("Content-Type", jsonType)
		out := bufio.NewWriterSize(w, streamBuffer)
		s.writeTo(out)
		_ = out.Flush() // a client that is gone needs no answer
		return nil
	}
	data := emptyAnswer
	if _, empty := message.(nothing); !empty {
		var err error
		if data, err = json.Marshal(message); err != nil {
			return failf(codeInternal, "The answer can't be written as JSON: %v", err)
		}
	}
	header := w.Header()
	header.Set("Content-Type", jsonType)
	header.Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data) // a client that is gone needs no answer
	return nil
}

// text makes the endpoint of a fixed text.
func text(content string) endpoint {
	return func(_ call, w http.ResponseWriter, _ *http.Request, _ []string) error {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, content) // a client that is gone needs no answer
		return nil
	}
}
