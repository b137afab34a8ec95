package scoring

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/azml-go/azml"
)

// The memory that bodies have together. What is small needs no room of its own: the
// number of connections bounds it.
const (
	freeBody      = 64 << 10
	bodiesAtOnce  = 4 // of the largest
	leastRoom     = 64 << 20
	roomWait      = 10 * time.Second
	firstReadSize = 512
)

// errNoRoom says that the large bodies of other requests take all the memory.
var errNoRoom = fmt.Errorf("%w: the large bodies of other requests take all the memory there is for them", azml.ErrUnavailable)

// room is the memory for bodies of more than freeBody, of requests and of answers. Who
// finds none waits, in order. A body that grows keeps what it has while it waits for
// more, so all could wait for each other: one request at a time, the first of those that
// wait, has what it needs beside the rest. It is safe for concurrent use.
type room struct {
	size int64         // for all but that one
	wait time.Duration // of a body that is being read

	mu      sync.Mutex
	free    int64
	beside  bool // a request has what it needs beside the rest
	waiting []*wanting
}

// wanting is a share that waits for more.
type wanting struct {
	share *share
	more  int64
	there chan struct{} // closed when it has it
}

func newRoom(maxBody int64) *room {
	size := max((bodiesAtOnce-1)*maxBody, leastRoom)
	return &room{size: size, wait: roomWait, free: size}
}

// admit gives those that wait what they want, in the order in which they came. The
// caller holds the lock.
func (r *room) admit() {
	for len(r.waiting) > 0 {
		first := r.waiting[0]
		switch {
		case first.more <= r.free:
			r.free -= first.more
			first.share.held += first.more
		case !r.beside:
			r.beside, first.share.beside = true, true
		default:
			return
		}
		r.waiting = r.waiting[1:]
		close(first.there)
	}
}

// share is what one request has of a room. The zero value, or nil, is of none, which
// has no bounds. It is for one goroutine at a time.
type share struct {
	of     *room
	held   int64
	beside bool // it has what it needs, beside the room's size
}

// need waits until the share is so large that a body of size bytes fits. What is
// larger than the room takes it all. Errors: the context's.
func (s *share) need(ctx context.Context, size int64) error {
	more := s.lacks(size)
	if more == 0 {
		return nil
	}
	w := &wanting{s, more, make(chan struct{})}
	s.of.mu.Lock()
	s.of.waiting = append(s.of.waiting, w)
	s.of.admit()
	s.of.mu.Unlock()
	select {
	case <-w.there:
		return nil
	case <-ctx.Done():
	}
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	at := slices.Index(s.of.waiting, w)
	if at < 0 { // it has got it at this very moment
		return nil
	}
	s.of.waiting = slices.Delete(s.of.waiting, at, at+1)
	s.of.admit()
	return ctx.Err()
}

// needNow is need for who does not wait.
func (s *share) needNow(size int64) bool {
	more := s.lacks(size)
	if more == 0 {
		return true
	}
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if len(s.of.waiting) > 0 || more > s.of.free {
		return false
	}
	s.of.free -= more
	s.held += more
	return true
}

func (s *share) lacks(size int64) int64 {
	if s == nil || s.of == nil || s.beside || size <= freeBody {
		return 0
	}
	return max(0, min(size, s.of.size)-s.held)
}

// leave gives everything back.
func (s *share) leave() {
	if s == nil || s.held == 0 && !s.beside {
		return
	}
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.of.free += s.held
	s.of.beside = s.of.beside && !s.beside
	s.held, s.beside = 0, false
	s.of.admit()
}

// readBody reads a body of at most most bytes. What it allocates is bounded by what
// really arrives, not by what a length claims, and by the room there is: a client
// that sends slowly keeps no more of it than it has filled twice. With an error it gives
// what came before. Errors: errNoRoom, *http.MaxBytesError, those of the body.
func readBody(w http.ResponseWriter, r *http.Request, most int64, s *share) ([]byte, error) {
	switch length := r.ContentLength; {
	case length < 0:
		return readGrowing(r.Context(), http.MaxBytesReader(w, r.Body, most), firstReadSize, most+1, s)
	case length > most:
		return nil, &http.MaxBytesError{Limit: most} // without reading it
	case length > freeBody:
		body, err := readGrowing(r.Context(), r.Body, freeBody, length, s)
		if err == nil && int64(len(body)) < length {
			err = io.ErrUnexpectedEOF
		}
		return body, err
	default:
		buf := make([]byte, length)
		n, err := io.ReadFull(r.Body, buf)
		if err == nil && length > 0 {
			_ = r.Body.Close() // it is known to be at its end, and need not be looked at again
		}
		return buf[:n], err
	}
}

// readGrowing reads until the end, or most bytes, into memory that is first small.
func readGrowing(ctx context.Context, body io.Reader, size, most int64, s *share) ([]byte, error) {
	buf := make([]byte, 0, size)
	for {
		n, err := body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err != nil || most == int64(len(buf)) {
			return buf, notEOF(err)
		}
		if len(buf) < cap(buf) {
			continue
		}
		size = min(2*size, most)
		if err := s.grow(ctx, size); err != nil {
			return buf, err
		}
		grown := make([]byte, len(buf), size)
		copy(grown, buf)
		buf = grown
	}
}

// grow is need for a body that is being read, whose client is not kept waiting
// for long.
func (s *share) grow(ctx context.Context, size int64) error {
	if s.needNow(size) {
		return nil
	}
	waiting, cancel := context.WithTimeoutCause(ctx, s.of.wait, errNoRoom)
	defer cancel()
	if s.need(waiting, size) != nil {
		return context.Cause(waiting)
	}
	return nil
}
