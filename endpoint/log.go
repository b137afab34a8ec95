package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// logKind is one of the logs of an endpoint: a folder, in which each process that
// serves the endpoint writes objects, one after the other.
type logKind struct {
	folder, extension string
	none              string // why there is nothing of it
}

var (
	serviceLog = logKind{"logs", ".txt", "it was never served"}
	requestLog = logKind{"requests", ".jsonl", "it has got no request yet"}
)

func (k logKind) prefix(endpoint string) string {
	return core.EndpointPrefix + endpoint + "/" + k.folder + "/"
}

// newKey gives the key of an object that a host begins now: keys sort as the objects
// begin.
func (k logKind) newKey(h core.Handle, endpoint, host string) string {
	return k.prefix(endpoint) + h.Now().Format("20060102T150405.000000000Z") + "-" + host + k.extension
}

// hostOf gives the ID of the host that writes the object of a log.
func hostOf(key string) string {
	_, host, _ := strings.Cut(strings.TrimSuffix(path.Base(key), path.Ext(key)), "-")
	return host
}

// logKeys gives the objects of all logs of an endpoint.
func logKeys(ctx context.Context, h core.Handle, endpoint string) ([]string, error) {
	service, err := serviceLog.keys(ctx, h, endpoint, "")
	if err != nil {
		return nil, err
	}
	requests, err := requestLog.keys(ctx, h, endpoint, "")
	return append(service, requests...), err
}

// keys gives the objects that were begun after another one, "" for all, in the order in
// which they were begun. One may have further parts; the first one stands for it.
func (k logKind) keys(ctx context.Context, h core.Handle, endpoint, after string) ([]string, error) {
	var keys []string
	for info, err := range h.Objects().List(ctx, &backend.ListOptions{Prefix: k.prefix(endpoint)}) {
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(info.Key, k.extension) && info.Key > after {
			keys = append(keys, info.Key)
		}
	}
	return keys, nil
}

// keepLogs is how many objects of each log an endpoint has at most before another host
// begins one, and keepOwn how many a host keeps of its own.
const (
	keepLogs = 9
	keepOwn  = 8
)

// dropLogs removes the oldest objects of hosts that have ended.
func (c *Client) dropLogs(ctx context.Context, endpoint string) error {
	hosts, err := c.hosts(ctx, endpoint)
	if err != nil {
		return err
	}
	for _, kind := range []logKind{serviceLog, requestLog} {
		keys, err := kind.keys(ctx, c.h, endpoint, "")
		if err != nil {
			return err
		}
		keys = slices.DeleteFunc(keys, func(key string) bool {
			return slices.ContainsFunc(hosts, func(host record.EndpointHost) bool { return host.ID == hostOf(key) })
		})
		for _, key := range keys[:max(0, len(keys)-keepLogs)] {
			if err := c.removeBelow(ctx, key); err != nil {
				return err
			}
		}
	}
	return nil
}

// openLogs opens all of a log; with follow, the last object goes on until its
// writer has ended, and what that begins next comes after it.
func openLogs(ctx context.Context, h core.Handle, endpoint string, kind logKind, follow bool) (io.ReadCloser, error) {
	keys, err := kind.keys(ctx, h, endpoint, "")
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: %s", azml.ErrNotFound, kind.none)
	}
	return &logs{ctx: ctx, h: h, endpoint: endpoint, kind: kind, follow: follow, next: keys}, nil
}

// logs are the objects of a log as one.
type logs struct {
	ctx      context.Context //nolint:containedctx // reading ends with it
	h        core.Handle
	endpoint string
	kind     logKind
	follow   bool
	next     []string
	last     string // the key of the one that is open, or was last
	open     io.ReadCloser
}

// Read reads one object after the other.
func (l *logs) Read(p []byte) (int, error) {
	for {
		if l.open == nil {
			if more, err := l.more(); !more {
				return 0, err
			}
		}
		n, err := l.open.Read(p)
		if errors.Is(err, io.EOF) {
			err = l.Close()
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// more opens the next object that is still there. At the end it gives io.EOF.
func (l *logs) more() (bool, error) {
	for {
		if len(l.next) == 0 && l.follow && l.last != "" {
			var err error
			if l.next, err = l.kind.keys(l.ctx, l.h, l.endpoint, l.last); err != nil {
				return false, err
			}
		}
		if len(l.next) == 0 {
			return false, io.EOF
		}
		l.last, l.next = l.next[0], l.next[1:]
		var done func() (bool, error)
		if l.follow && len(l.next) == 0 {
			done = l.ended
		}
		var err error
		if l.open, err = history.OpenLog(l.ctx, l.h, l.last, done); err == nil {
			return true, nil
		} else if !errors.Is(err, azml.ErrNotFound) { // it was the oldest
			return false, err
		}
	}
}

// ended tells whether nothing is written any more to the object that is open.
func (l *logs) ended() (bool, error) {
	own := hostOf(l.last)
	later, err := l.kind.keys(l.ctx, l.h, l.endpoint, l.last)
	if err != nil || slices.ContainsFunc(later, func(key string) bool { return hostOf(key) == own }) {
		return true, err
	}
	for host, err := range core.EndpointHosts(l.ctx, l.h, l.endpoint) {
		if err != nil {
			return false, err
		}
		if host.Value.ID == own {
			return l.h.HostGone(&host.Value), nil
		}
	}
	return true, nil
}

// Close closes what is open.
func (l *logs) Close() error {
	if l.open == nil {
		return nil
	}
	open := l.open
	l.open = nil
	return open.Close()
}
