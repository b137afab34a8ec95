package workspace

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/azml-go/azml/internal/core"
)

// AuditEntry is one change of a resource: who did what, when and from where.
type AuditEntry struct {
	// ID is the entry's own ID.
	ID string `json:"id"`
	// Time is when the change was begun, by the clock of its machine.
	Time time.Time `json:"time"`
	// Who made it, as user@host.
	Who string `json:"who"`
	// From is the process, as "program[pid]@host".
	From string `json:"from"`
	// Op is the verb: create, update, delete, set; log for all that somebody logs
	// to a run through a server within an hour.
	Op string `json:"op"`
	// Kind is the kind of resource, such as "model".
	Kind string `json:"kind"`
	// Name is the resource's name or ID.
	Name string `json:"name"`
	// Detail says what changed, in a few words.
	Detail string `json:"detail,omitempty"`
	// Failure is the class of error of a change that was not made, empty for
	// one that was (or whose process died before it could tell).
	Failure string `json:"failure,omitempty"`
}

// AuditOptions are the options of Workspace.Audit. All conditions must hold.
type AuditOptions struct {
	// Since leaves out entries before this time.
	Since time.Time
	// Kind keeps entries about this kind of resource.
	Kind string
	// Name keeps entries about this resource.
	Name string
}

// Audit yields the entries of the audit log by time. Every create, change and
// delete of a resource leaves one, written before the change is made. It reads
// the log day by day. Errors: ErrDamaged, after all entries that can be read.
func (w *Workspace) Audit(ctx context.Context, opts *AuditOptions) iter.Seq2[AuditEntry, error] {
	if opts == nil {
		opts = &AuditOptions{}
	}
	return func(yield func(AuditEntry, error) bool) {
		var damages []error
		for entries, err := range core.AuditDays(ctx, w.h, opts.Since, func(key string, line int, err error) {
			damages = append(damages, fmt.Errorf("%s, line %d: %w", key, line, err))
		}) {
			if err != nil {
				core.Wrap(&err, "read audit log of", kind, w.Name())
				yield(AuditEntry{}, err)
				return
			}
			for _, line := range entries {
				if e := AuditEntry(line); opts.match(e) && !yield(e, nil) {
					return
				}
			}
		}
		if err := errors.Join(damages...); err != nil {
			core.Wrap(&err, "read audit log of", kind, w.Name())
			yield(AuditEntry{}, err)
		}
	}
}

func (o *AuditOptions) match(e AuditEntry) bool {
	return !e.Time.Before(o.Since) && (o.Kind == "" || e.Kind == o.Kind) && (o.Name == "" || e.Name == o.Name)
}
