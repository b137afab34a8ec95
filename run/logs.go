package run

import (
	"context"
	"fmt"
	"io"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/history"
)

// LogsOptions are the options of Run.Logs.
type LogsOptions struct {
	// Name is the log wanted; "user_logs/std_log.txt", what the script wrote
	// to its standard output and error, when empty.
	Name string
	// Follow goes on with what is written later, until the run has ended.
	Follow bool
	// Tail begins with the last so many lines, reading little more than these;
	// 0 means with the first one.
	Tail int
}

// Logs opens a log of a submitted run. The caller closes it; it ends with ctx.
// Errors: ErrNotFound when there is no such log (not with Follow, which waits
// for it); ErrInvalid when Tail is below 0.
func (r *Run) Logs(ctx context.Context, opts *LogsOptions) (_ io.ReadCloser, err error) {
	defer r.h.Operation(&ctx, &err, "open log of", kind, r.id)()
	if opts == nil {
		opts = &LogsOptions{}
	}
	name := opts.Name
	if name == "" {
		name = agent.OutputLog
	}
	var done func() (bool, error)
	if opts.Follow {
		done = func() (bool, error) {
			err := r.Refresh(ctx)
			return r.Status().Terminal(), err
		}
	}
	key := history.LogKey(r.record(), name)
	switch {
	case opts.Tail < 0:
		return nil, fmt.Errorf("%w: tail of %d lines: give a number from 1, or 0 for all", azml.ErrInvalid, opts.Tail)
	case opts.Tail > 0:
		return history.OpenLogTail(ctx, r.h, key, opts.Tail, done)
	}
	return history.OpenLog(ctx, r.h, key, done)
}

// LogNames lists the run's logs: "user_logs/…" of the script's output, "logs/…"
// what it wrote below logs/, "system_logs/…" of the preparation.
func (r *Run) LogNames(ctx context.Context) (_ []string, err error) {
	defer r.h.Operation(&ctx, &err, "list logs of", kind, r.id)()
	return history.LogNames(ctx, r.h, r.record())
}
