package workspace

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
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
	// Op is the verb: create, update, delete, set.
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
// the log day by day.
func (w *Workspace) Audit(ctx context.Context, opts *AuditOptions) iter.Seq2[AuditEntry, error] {
	if opts == nil {
		opts = &AuditOptions{}
	}
	return func(yield func(AuditEntry, error) bool) {
		for day, err := range w.h.Children(ctx, "audit/") {
			if err == nil && day < opts.Since.UTC().Format(time.DateOnly) {
				continue
			}
			var entries []AuditEntry
			if err == nil {
				entries, err = w.auditDay(ctx, day)
			}
			if err != nil {
				core.Wrap(&err, "read audit log of", kind, w.Name())
				yield(AuditEntry{}, err)
				return
			}
			for _, e := range entries {
				if opts.match(e) && !yield(e, nil) {
					return
				}
			}
		}
	}
}

func (o *AuditOptions) match(e AuditEntry) bool {
	return !e.Time.Before(o.Since) && (o.Kind == "" || e.Kind == o.Kind) && (o.Name == "" || e.Name == o.Name)
}

// auditDay reads the entries of one day. Of several lines with one ID the last
// counts.
func (w *Workspace) auditDay(ctx context.Context, day string) ([]AuditEntry, error) {
	byID := map[string]AuditEntry{}
	for info, err := range w.h.Objects().List(ctx, &backend.ListOptions{Prefix: "audit/" + day + "/"}) {
		if err != nil {
			return nil, err
		}
		data, _, err := w.h.Read(ctx, info.Key)
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(data) {
			var r record.Audit
			if json.Unmarshal(line, &r) != nil {
				continue // cut off by the death of its writer, who had not made the change
			}
			byID[r.ID] = AuditEntry(r)
		}
	}
	entries := make([]AuditEntry, 0, len(byID))
	for _, e := range byID {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b AuditEntry) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return entries, nil
}
