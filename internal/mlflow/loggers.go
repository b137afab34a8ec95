package mlflow

import (
	"context"
	"sync"
	"time"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
)

// loggers remembers who has logged to what in the last hour, so that the audit log
// is told once and not with each point.
type loggers struct {
	mu    sync.Mutex
	known map[logger]*toldLast
}

// logger is somebody who logs to a run or a logged model.
type logger struct {
	who string
	ref core.Ref
}

// toldLast is when the audit log was last told of a logger.
type toldLast struct {
	mu sync.Mutex // held while it is being told: others wait for the line
	at time.Time
}

const (
	// tellEvery is for how long one audit line stands for all that somebody logs.
	tellEvery = time.Hour
	// maxLoggers bounds how many loggers are kept in mind. One that is forgotten
	// has a line more.
	maxLoggers = 10_000
)

func (ls *loggers) find(l logger) *toldLast {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if have := ls.known[l]; have != nil {
		return have
	}
	for old := range ls.known {
		if len(ls.known) < maxLoggers {
			break
		}
		delete(ls.known, old) // any will do
	}
	fresh := &toldLast{}
	ls.known[l] = fresh
	return fresh
}

// tell makes sure that there is an audit line of the last hour which says that the
// logger logs.
func (ls *loggers) tell(ctx context.Context, h core.Handle, ref core.Ref) error {
	last := ls.find(logger{h.Who(), ref})
	last.mu.Lock()
	defer last.mu.Unlock()
	if now := h.Now(); now.Sub(last.at) >= tellEvery {
		if err := h.Audit(ctx, "log", ref, "", func() error { return nil }); err != nil {
			return err
		}
		last.at = now
	}
	return nil
}

// made notes that the line of a creation says who logs.
func (ls *loggers) made(h core.Handle, ref core.Ref) {
	last := ls.find(logger{h.Who(), ref})
	last.mu.Lock()
	defer last.mu.Unlock()
	last.at = h.Now()
}

// audited does what logs to a run or a logged model when the audit log has a line
// of it: of what has ended one for each change, else one an hour. Within a run, its
// own lines say who logs.
func (c call) audited(ctx context.Context, ref core.Ref, ended bool, what string, do func() error) error {
	switch {
	case c.scope != nil:
		return do()
	case ended:
		return c.core.Audit(ctx, "log", ref, what+", after its end", do)
	}
	if err := c.loggers.tell(ctx, c.core, ref); err != nil {
		return err
	}
	return do()
}

// taken does what takes an artifact away, of which the audit log has a line each
// time.
func (c call) taken(ctx context.Context, a artifact, how string, do func() error) error {
	if c.scope != nil {
		return do()
	}
	return c.core.Audit(ctx, "update", a.ref(), "artifact "+a.path+" "+how, do)
}

// ref is what the artifact belongs to.
func (a artifact) ref() core.Ref {
	if a.modelID != "" {
		return history.LoggedModelRef(a.modelID)
	}
	return history.Ref(a.runID)
}
