package endpoint

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
)

func logPrefix(endpoint string) string { return core.EndpointPrefix + endpoint + "/logs/" }

// newLogKey gives the key of a log that begins now: keys sort as the logs begin.
func newLogKey(h core.Handle, endpoint, host string) string {
	return logPrefix(endpoint) + h.Now().Format("20060102T150405.000000000Z") + "-" + host + ".txt"
}

// logKeys gives the logs in the order in which they were begun. A log has more
// than one object when it is very long; the first one stands for it.
func logKeys(ctx context.Context, h core.Handle, endpoint string) ([]string, error) {
	var keys []string
	for info, err := range h.Objects().List(ctx, &backend.ListOptions{Prefix: logPrefix(endpoint)}) {
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(info.Key, ".txt") {
			keys = append(keys, info.Key)
		}
	}
	return keys, nil
}

// keepLogs is how many logs an endpoint has at most before another one begins.
const keepLogs = 9

// dropLogs removes the oldest logs.
func (c *Client) dropLogs(ctx context.Context, endpoint string) error {
	keys, err := logKeys(ctx, c.h, endpoint)
	if err != nil {
		return err
	}
	for _, key := range keys[:max(0, len(keys)-keepLogs)] {
		if err := c.removeBelow(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// openLogs opens all logs one after the other; with follow, the last one goes on
// until its writer has ended.
func openLogs(ctx context.Context, h core.Handle, endpoint string, follow bool) (io.ReadCloser, error) {
	keys, err := logKeys(ctx, h, endpoint)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: it was never served", azml.ErrNotFound)
	}
	all := &logs{}
	for i, key := range keys {
		var done func() (bool, error)
		if follow && i == len(keys)-1 {
			done = func() (bool, error) { return ended(ctx, h, endpoint, key) }
		}
		log, err := history.OpenLog(ctx, h, key, done)
		if err != nil {
			_ = all.Close() // nothing was read
			return nil, err
		}
		all.readers = append(all.readers, log)
		all.logs = append(all.logs, log)
	}
	all.Reader = io.MultiReader(all.readers...)
	return all, nil
}

// ended tells whether the writer of the log has ended.
func ended(ctx context.Context, h core.Handle, endpoint, key string) (bool, error) {
	for host, err := range core.EndpointHosts(ctx, h, endpoint) {
		if err != nil {
			return false, err
		}
		if host.Value.Log == key {
			return h.HostGone(&host.Value), nil
		}
	}
	return true, nil
}

// logs are some logs as one.
type logs struct {
	io.Reader
	readers []io.Reader
	logs    []io.Closer
}

// Close closes all.
func (l *logs) Close() (err error) {
	for _, log := range l.logs {
		if closing := log.Close(); err == nil {
			err = closing
		}
	}
	return err
}

// steady is a log that never makes its writers wait: while the store does not
// take what was written, a megabyte is kept, and what comes then is dropped and
// counted. Scoring goes on without its log, not the other way round.
type steady struct {
	log  *history.LogWriter
	now  func() time.Time
	kick chan struct{}
	done chan struct{}

	mu      sync.Mutex
	buffer  []byte
	dropped int
	closed  bool
}

const (
	steadyBytes = 1 << 20
	steadyEvery = 50 * time.Millisecond
)

func newSteady(log *history.LogWriter, now func() time.Time) *steady {
	s := &steady{log: log, now: now, kick: make(chan struct{}, 1), done: make(chan struct{})}
	go s.pass()
	return s
}

// Write takes p, or drops it.
func (s *steady) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.buffer)+len(p) > steadyBytes {
		s.dropped++
		return len(p), nil
	}
	first := len(s.buffer) == 0
	s.buffer = append(s.buffer, p...)
	if first {
		select {
		case s.kick <- struct{}{}:
		default:
		}
	}
	return len(p), nil
}

// take gives what was written, with a line for what was dropped.
func (s *steady) take() (data []byte, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, s.buffer = s.buffer, nil
	if s.dropped > 0 {
		data = fmt.Appendf(data, "%s %d lines of this log were dropped: the store did not take them\n", s.now().Format(time.RFC3339), s.dropped)
		s.dropped = 0
	}
	return data, s.closed
}

// pass hands what is written to the log.
func (s *steady) pass() {
	defer close(s.done)
	for {
		<-s.kick
		time.Sleep(steadyEvery) // more lines go together
		data, closed := s.take()
		for len(data) > 0 {
			if _, err := s.log.Write(data); err == nil {
				break
			}
			if s.isClosed() {
				return
			}
			time.Sleep(steadyEvery)
		}
		if closed {
			return
		}
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
	select {
	case s.kick <- struct{}{}:
	default:
	}
	select {
	case <-s.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if rest, _ := s.take(); len(rest) > 0 {
		_, _ = s.log.Write(rest) // Close below tells of what can't be kept
	}
	return s.log.Close(ctx)
}
