package gateway

import (
	"errors"
	"io"
	"sync"

	"github.com/azml-go/azml/backend"
)

// upload is the body of a request. The transport may go on reading after it has
// given an error; content must not be read after the call that it was given to.
// So reading ends with stop.
type upload struct {
	content backend.Content
	size    int64

	mu      sync.Mutex
	offset  int64
	failed  error // of the content
	stopped bool
}

func newUpload(content backend.Content) *upload {
	return &upload{content: content, size: content.Size()}
}

var errStopped = errors.New("the request is over")

// Read implements io.Reader.
func (u *upload) Read(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.stopped:
		return 0, errStopped
	case u.offset == u.size:
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), u.size-u.offset)]
	n, err := u.content.ReadAt(p, u.offset)
	u.offset += int64(n)
	if n == len(p) {
		return n, nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	u.failed = err
	return n, err
}

// Close implements io.Closer for the transport.
func (u *upload) Close() error {
	u.stop()
	return nil
}

// stop returns when nobody reads the content, and nobody will.
func (u *upload) stop() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stopped = true
}

// failure gives the error that reading the content has ended with.
func (u *upload) failure() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.failed
}
