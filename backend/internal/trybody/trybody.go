// Package trybody keeps two tries of one request of Azure's clients from reading
// its body at the same time.
//
// net/http may still be sending a body when the answer is there: a service that
// throttles or asks for a token does not wait for the end of it. The pipeline of
// azcore then rewinds the very same body for the next try.
package trybody

import (
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// Policy lends the body of a request to a try of it, and takes it back when the
// try has failed. It belongs behind the policies that try again, so among the
// PerRetryPolicies of a client's options.
type Policy struct{}

// Do sends one try.
func (Policy) Do(req *policy.Request) (*http.Response, error) {
	raw := req.Raw()
	body, again := raw.Body, raw.GetBody
	if body == nil || body == http.NoBody {
		return req.Next()
	}
	lent := &loan{body: body}
	raw.Body, raw.GetBody = lent, nil // else net/http might rewind it by itself
	answer, err := req.Next()
	raw.Body, raw.GetBody = body, again
	if err != nil || answer.StatusCode >= http.StatusBadRequest {
		lent.end()
	}
	return answer, err
}

// errOver is what a try gets that goes on reading.
var errOver = errors.New("the request is being tried again")

// loan is a body in the hands of one try. It is safe for concurrent use.
type loan struct {
	mu   sync.Mutex
	body io.ReadCloser
	over bool
}

// Read implements io.Reader.
func (l *loan) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return 0, errOver
	}
	return l.body.Read(p)
}

// Close implements io.Closer.
func (l *loan) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return nil
	}
	return l.body.Close()
}

// end takes the body back, when nobody is reading it.
func (l *loan) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}
