package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// loaded is what a server did under load.
type loaded struct {
	latencies []float64 // seconds
	seconds   float64
}

// putLoad sends requests over some connections at once, each the next as soon
// as it has the answer, for the given time.
func putLoad(ctx context.Context, s *server, connections int, seconds float64) (loaded, error) {
	begun := time.Now()
	until := begun.Add(time.Duration(seconds * float64(time.Second)))
	var mu sync.Mutex
	var out loaded
	var failed error
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			c := &caller{target: s.target, request: s.request}
			defer c.close()
			err := c.callUntil(ctx, until)
			mu.Lock()
			defer mu.Unlock()
			out.latencies = append(out.latencies, c.latencies...)
			if failed == nil {
				failed = err
			}
		})
	}
	all.Wait()
	out.seconds = time.Since(begun).Seconds()
	return out, failed
}

// posting gives the whole request, made once.
func posting(t target, path, body string) func() []byte {
	request := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, t.Address, t.Key, len(body), body)
	return func() []byte { return request }
}

// caller is one client with one connection, which it keeps as long as the
// server does.
type caller struct {
	target    target
	request   func() []byte
	conn      net.Conn
	in        *bufio.Reader
	latencies []float64
}

// callTimeout bounds one request.
const callTimeout = 20 * time.Second

func (c *caller) callUntil(ctx context.Context, until time.Time) error {
	for ctx.Err() == nil {
		begun := time.Now()
		if !begun.Before(until) {
			return nil
		}
		if err := c.call(ctx); err != nil {
			return err
		}
		c.latencies = append(c.latencies, time.Since(begun).Seconds())
	}
	return ctx.Err()
}

func (c *caller) call(ctx context.Context) error {
	if c.conn == nil {
		conn, err := (&net.Dialer{Timeout: callTimeout}).DialContext(ctx, "tcp", c.target.Address)
		if err != nil {
			return err
		}
		c.conn, c.in = conn, bufio.NewReader(conn)
	}
	if err := c.conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return err
	}
	if _, err := c.conn.Write(c.request()); err != nil {
		return err
	}
	if plain, err := c.skipPlain(); plain || err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.in, nil) //nolint:bodyclose // read to its end below, and it ends the connection's turn
	if err != nil {
		return err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s: %s", c.target.Address, resp.Status, body)
	}
	if resp.Close {
		c.close()
	}
	return nil
}

// skipPlain skips an answer with the status 200 and a Content-Length, if that is what
// comes. It looks at nothing else, as wrk does: the load takes its time from the same
// processors as the server.
func (c *caller) skipPlain() (bool, error) {
	head, err := c.peekHead()
	if err != nil {
		return false, err
	}
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	plain, length := bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")), -1
	for plain && len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return false, err
			}
		case bytes.EqualFold(name, []byte("Connection")):
			plain = bytes.EqualFold(value, []byte("keep-alive"))
		}
	}
	if !plain || length < 0 {
		return false, nil
	}
	_, err = c.in.Discard(len(head) + len("\r\n\r\n") + length)
	return true, err
}

// peekHead gives the head of the answer that comes, without the empty line at its end.
func (c *caller) peekHead() ([]byte, error) {
	for n := 1; ; n = c.in.Buffered() + 1 {
		if _, err := c.in.Peek(n); err != nil {
			return nil, err
		}
		there, _ := c.in.Peek(c.in.Buffered()) // which reads nothing
		if head, _, found := bytes.Cut(there, []byte("\r\n\r\n")); found {
			return head, nil
		}
	}
}

func (c *caller) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}
