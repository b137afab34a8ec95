package model

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/registry"
)

// Change is one change of a model or of one of its versions.
type Change struct {
	// Time is when it was made, by the clock of its machine.
	Time time.Time `json:"time"`
	// Who made it, as user@host, or the principal of a token.
	Who string `json:"who"`
	// From is the process, as "program[pid]@host".
	From string `json:"from"`
	// Op is the verb: create, update or delete.
	Op string `json:"op"`
	// Model is "name:version", or the name for what is of the model as a whole,
	// such as an alias.
	Model string `json:"model"`
	// Detail says what changed and what was there before, such as
	// "alias champion: version 4, before version 3".
	Detail string `json:"detail,omitempty"`
}

// HistoryOptions are the options of Client.History.
type HistoryOptions struct {
	// Since leaves out changes before this time.
	Since time.Time
	// Version keeps the changes of one version, and of aliases that were pointed to it
	// or away from it; 0 is all.
	Version int
}

// History yields what was done to a model, its versions and its aliases: what, by
// whom and when, by time. It also tells of one that was deleted. It reads the
// workspace's audit log, day by day, from Since on. Errors: ErrInvalid;
// ErrDamaged, after all that can be read.
func (c *Client) History(ctx context.Context, name string, opts *HistoryOptions) iter.Seq2[Change, error] {
	if opts == nil {
		opts = &HistoryOptions{}
	}
	return func(yield func(Change, error) bool) {
		fail := func(err error) {
			core.Wrap(&err, "read history of", kind, name)
			yield(Change{}, err)
		}
		own, err := c.ownName(ctx, name)
		if err != nil {
			fail(err)
			return
		}
		var damages []error
		for lines, err := range core.AuditDays(ctx, c.h, opts.Since, func(key string, line int, err error) {
			damages = append(damages, fmt.Errorf("%s, line %d: %w", key, line, err))
		}) {
			if err != nil {
				fail(err)
				return
			}
			for _, line := range lines {
				if !opts.match(own, line) {
					continue
				}
				if !yield(Change{Time: line.Time, Who: line.Who, From: line.From, Op: line.Op, Model: line.Name, Detail: line.Detail}, nil) {
					return
				}
			}
		}
		if err := errors.Join(damages...); err != nil {
			fail(err)
		}
	}
}

// ownName gives the name that the model has in keys and in the audit log.
func (c *Client) ownName(ctx context.Context, name string) (string, error) {
	m, err := registry.Find(ctx, c.h, name)
	if errors.Is(err, azml.ErrNotFound) {
		return name, nil // it may have been there
	}
	return m.Value.Name, err
}

// match tells whether the line is of a change that was made to the model.
func (o *HistoryOptions) match(name string, line record.Audit) bool {
	if line.Failure != "" || line.Time.Before(o.Since) {
		return false
	}
	switch line.Kind {
	case kind:
		of, version, _ := strings.Cut(line.Name, ":")
		return of == name && (o.Version == 0 || version == fmt.Sprint(o.Version))
	case registeredKind:
		return line.Name == name && (o.Version == 0 || mentions(line.Detail, o.Version))
	}
	return false
}

// mentions tells whether a change of aliases is about the version.
func mentions(detail string, version int) bool {
	parts := strings.FieldsFunc(detail, func(r rune) bool { return r == ',' || r == ';' })
	return slices.ContainsFunc(parts, func(part string) bool { return strings.HasSuffix(part, fmt.Sprintf(" version %d", version)) })
}
