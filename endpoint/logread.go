package endpoint

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/pause"
)

// Who follows a log looks for more so often: less and less while nothing comes.
const (
	followEvery   = 100 * time.Millisecond
	followAtLeast = 2 * time.Second
)

// openLogs opens all of a log; with follow it goes on until nobody serves the endpoint.
func openLogs(ctx context.Context, h core.Handle, endpoint string, kind logKind, follow bool) (io.ReadCloser, error) {
	l := &logs{ctx: ctx, h: h, endpoint: endpoint, kind: kind, ended: !follow, every: followEvery, seen: map[string]bool{}}
	if err := l.list(); err != nil {
		return nil, err
	}
	if len(l.hosts) == 0 {
		return nil, fmt.Errorf("%w: %s", azml.ErrNotFound, kind.none)
	}
	return l, nil
}

// logs are what all processes have written to a log as one, its lines by their time.
type logs struct {
	ctx      context.Context //nolint:containedctx // reading ends with it
	h        core.Handle
	endpoint string
	kind     logKind
	seen     map[string]bool // the keys of objects that are known
	hosts    []*hostLog      // in the order in which they began
	ended    bool            // nobody writes any more to what is known
	every    time.Duration   // until the next look for more
	rest     []byte          // of the line that is given
}

// Read gives one line after the other.
func (l *logs) Read(p []byte) (int, error) {
	for len(l.rest) == 0 {
		var err error
		if l.rest, err = l.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// next gives the next line, for which it waits while somebody may write it; at the end
// io.EOF.
func (l *logs) next() ([]byte, error) {
	for {
		first, err := l.earliest()
		if err != nil {
			return nil, err
		}
		if first != nil {
			line := first.line
			first.line, l.every = nil, followEvery
			return line, nil
		}
		if l.ended {
			return nil, io.EOF
		}
		if err := l.wait(); err != nil {
			return nil, err
		}
	}
}

// earliest gives the process whose next line is the earliest one, nil when there is none.
func (l *logs) earliest() (*hostLog, error) {
	var first *hostLog
	for _, o := range l.hosts {
		if err := o.advance(l); err != nil {
			return nil, err
		}
		if o.line != nil && (first == nil || o.at.Before(first.at)) {
			first = o
		}
	}
	return first, nil
}

// wait looks a little later whether somebody still writes, and then what is there: what was
// written before the end is so read once more.
func (l *logs) wait() (err error) {
	if !pause.For(l.ctx, l.every) {
		return l.ctx.Err()
	}
	l.every = min(2*l.every, followAtLeast)
	for _, o := range l.hosts {
		o.atEnd = false
	}
	if l.ended, err = l.abandoned(); err != nil {
		return err
	}
	return l.list()
}

// abandoned tells whether nobody serves the endpoint.
func (l *logs) abandoned() (bool, error) {
	for host, err := range core.EndpointHosts(l.ctx, l.h, l.endpoint) {
		if err != nil || !l.h.HostGone(&host.Value) {
			return false, err
		}
	}
	return true, nil
}

// list finds the objects that are new.
func (l *logs) list() error {
	keys, err := l.kind.keys(l.ctx, l.h, l.endpoint)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if l.seen[key] {
			continue
		}
		l.seen[key] = true
		i := slices.IndexFunc(l.hosts, func(o *hostLog) bool { return o.id == hostOf(key) })
		if i < 0 {
			i = len(l.hosts)
			l.hosts = append(l.hosts, &hostLog{id: hostOf(key)})
		}
		l.hosts[i].keys = append(l.hosts[i].keys, key)
	}
	return nil
}

// Close closes what is open.
func (l *logs) Close() (err error) {
	for _, o := range l.hosts {
		err = errors.Join(err, o.close())
	}
	return err
}

// hostLog is what one process has written to a log, line by line.
type hostLog struct {
	id    string
	keys  []string // of the objects after the one that is open
	open  io.ReadCloser
	lines *bufio.Reader
	atEnd bool      // it was read to its end since the last wait: the store is not asked for each line of others
	begun []byte    // a line without its end
	line  []byte    // the next line, nil when it was not read yet or is not there
	at    time.Time // when it was written, or the last one before it that says so
}

// advance reads the next line, if there is one by now.
func (o *hostLog) advance(l *logs) error {
	for o.line == nil && !o.atEnd {
		if o.open == nil {
			if opened, err := o.begin(l); !opened {
				return err
			}
		}
		part, err := o.lines.ReadBytes('\n')
		o.begun = append(o.begun, part...)
		switch {
		case err == nil:
			o.take()
		case !errors.Is(err, io.EOF):
			return err
		case len(o.keys) > 0: // there is another one, so this one is at its end
			if err := o.close(); err != nil {
				return err
			}
		case l.ended && len(o.begun) > 0: // its process was killed
			o.begun = append(o.begun, '\n')
			o.take()
		default:
			o.atEnd = true
		}
	}
	return nil
}

// begin opens the next object that is still there, if there is one.
func (o *hostLog) begin(l *logs) (opened bool, err error) {
	for len(o.keys) > 0 {
		o.open, err = history.OpenLog(l.ctx, l.h, o.keys[0], nil)
		if o.keys = o.keys[1:]; err == nil {
			o.lines = bufio.NewReader(o.open)
			return true, nil
		}
		if o.open = nil; !errors.Is(err, azml.ErrNotFound) { // it was the oldest
			return false, err
		}
	}
	return false, nil
}

// take makes what was read the next line.
func (o *hostLog) take() {
	o.line, o.begun = o.begun, nil
	if at := lineTime(o.line); at.After(o.at) {
		o.at = at
	}
}

func (o *hostLog) close() error {
	if o.open == nil {
		return nil
	}
	open := o.open
	o.open = nil
	return open.Close()
}

// timed is how lines begin that say when they were written: those of the service, of its
// logger, of scripts and of requests.
var timed = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:time=|\{"time":")?(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:\d\d)?`)
})

// lineTime gives when a line was written, the zero time when it does not say so.
func lineTime(line []byte) time.Time {
	const longest = 64
	found := timed().FindSubmatch(line[:min(len(line), longest)])
	if found == nil {
		return time.Time{}
	}
	text := func(i int) string { return string(found[i]) }
	at, _ := time.Parse(time.RFC3339Nano, text(1)+"T"+text(2)+"."+cmp.Or(text(3), "0")+cmp.Or(text(4), "Z")) // the zero time of a text that looks like one
	return at
}
