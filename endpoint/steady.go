package endpoint

import (
	"context"
	"errors"
	"sync"
	"time"
)

// steady is a log that never makes its writers wait: while the store does not
// take what was written, a megabyte is kept, and what comes then is dropped and
// counted. Scoring goes on without its log, not the other way round.
type steady struct {
	log   *rotated
	every time.Duration          // so long are lines gathered
	lost  func(lines int) string // the line that tells of lines that were dropped
	kick  chan struct{}
	full  chan struct{} // half of the buffer is
	asked chan flushing // to hand on at once what was written
	done  chan struct{}

	mu      sync.Mutex
	buffer  []byte
	spare   []byte // the buffer to be filled next
	dropped int
	closed  bool
}

// flushing is somebody who waits until what was written is in the store.
type flushing struct {
	ctx  context.Context //nolint:containedctx // of him who waits, for another goroutine
	done chan error
}

const (
	steadyBytes = 1 << 20
	steadyRetry = 50 * time.Millisecond
)

func newSteady(log *rotated, every time.Duration, lost func(lines int) string) *steady {
	s := &steady{log: log, every: every, lost: lost, kick: make(chan struct{}, 1), full: make(chan struct{}, 1), asked: make(chan flushing), done: make(chan struct{})}
	go s.pass()
	return s
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Write takes p, or drops it.
func (s *steady) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.buffer)+len(p) > steadyBytes {
		s.dropped++
		return len(p), nil
	}
	before := len(s.buffer)
	s.buffer = append(s.buffer, p...)
	if before == 0 {
		signal(s.kick)
	}
	if before < steadyBytes/2 && len(s.buffer) >= steadyBytes/2 {
		signal(s.full)
	}
	return len(p), nil
}

// take gives what was written, with a line for what was dropped.
func (s *steady) take() (data []byte, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, s.buffer, s.spare = s.buffer, s.spare[:0], nil
	if s.dropped > 0 {
		data = append(data, s.lost(s.dropped)...)
		s.dropped = 0
	}
	return data, s.closed
}

// pass hands what is written to the log.
func (s *steady) pass() {
	defer close(s.done)
	for {
		asked := s.gather()
		data, closed := s.take()
		for len(data) > 0 {
			if _, err := s.log.Write(data); err == nil {
				s.mu.Lock()
				s.spare = data
				s.mu.Unlock()
				break
			}
			if s.isClosed() { // Close tries once more
				s.mu.Lock()
				s.buffer = append(data, s.buffer...)
				s.mu.Unlock()
				return
			}
			time.Sleep(steadyRetry)
		}
		if asked.done != nil {
			asked.done <- s.log.flush(asked.ctx)
		}
		if closed {
			return
		}
	}
}

// gather waits for lines, and then for more, so that they go together. It gives who does
// not want to wait for that.
func (s *steady) gather() (asked flushing) {
	select {
	case <-s.kick:
	case asked = <-s.asked:
		return asked
	}
	until := time.NewTimer(s.every)
	defer until.Stop()
	select {
	case <-until.C:
	case <-s.full:
	case asked = <-s.asked:
	}
	return asked
}

// Flush returns when what was written is in the store, so that whoever is told next of what
// it is about finds it there.
func (s *steady) Flush(ctx context.Context) error {
	f := flushing{ctx, make(chan error, 1)}
	select {
	case s.asked <- f:
	case <-s.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-f.done:
		return err
	case <-s.done: // it was closed, which hands on what is left
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *steady) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Close hands on what is left and closes the log.
func (s *steady) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	signal(s.kick)
	signal(s.full)
	select {
	case <-s.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	var err error
	if rest, _ := s.take(); len(rest) > 0 {
		_, err = s.log.Write(rest)
	}
	return errors.Join(err, s.log.close(ctx))
}
