package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/inorder"
	"github.com/azml-go/azml/internal/record"
)

// Ref says which record is meant, for keys and for people.
type Ref struct {
	// Kind is the kind of resource, such as "model".
	Kind string
	// Name is its name or ID, such as "churn:7".
	Name string
	// Key is the record's key in the object store.
	Key string
}

// Stored is a record as it was last read or written.
type Stored[T any] struct {
	// Value is the record.
	Value T
	// ETag marks the state that was read.
	ETag backend.ETag
	// Modified is when that state was written, by the store's clock; zero when the
	// record was not read from the store.
	Modified time.Time
	raw      []byte
}

// pointer ties a record's struct to its methods.
type pointer[T any] interface {
	*T
	record.Record
}

// maxRecord bounds what is read as a record, in bytes.
const maxRecord = 64 << 20

// maxTries bounds how often an Update begins again after losing a race. Each
// lost race means that somebody else's update was done.
const maxTries = 500

// Get reads the record. Errors: ErrNotFound, ErrDamaged, ErrUnsupported.
func Get[T any, P pointer[T]](ctx context.Context, h Handle, key string) (Stored[T], error) {
	data, info, err := h.Read(ctx, key)
	if err != nil {
		return Stored[T]{}, err
	}
	s, err := Restore[T, P](key, data, info.ETag)
	s.Modified = info.Modified
	return s, err
}

// Read gives a small object whole. One that is replaced while it is read is
// read again.
func (h Handle) Read(ctx context.Context, key string) ([]byte, backend.Info, error) {
	for range maxTries {
		data, info, err := h.readOnce(ctx, key)
		if !errors.Is(err, azml.ErrConflict) {
			return data, info, err
		}
	}
	return nil, backend.Info{}, fmt.Errorf("%w: %s was changed by others %d times in a row", azml.ErrConflict, key, maxTries)
}

func (h Handle) readOnce(ctx context.Context, key string) ([]byte, backend.Info, error) {
	object, err := h.Objects().Get(ctx, key, &backend.GetOptions{})
	if err != nil {
		return nil, backend.Info{}, err
	}
	defer object.Body.Close()
	if object.Info.Size > maxRecord {
		return nil, backend.Info{}, fmt.Errorf("%w: %s has %d bytes, no record is that large", azml.ErrDamaged, key, object.Info.Size)
	}
	data, err := io.ReadAll(object.Body)
	if err != nil {
		return nil, backend.Info{}, fmt.Errorf("%w: read %s: %w", classify(err), key, err)
	}
	return data, object.Info, nil
}

// Create writes a new record, with an audit line. Errors: ErrExists.
func Create[T any, P pointer[T]](ctx context.Context, h Handle, ref Ref, value T) (Stored[T], error) {
	return CreateAfter[T, P](ctx, h, ref, func() (T, func() error, error) { return value, Ready, nil })
}

// CreateAfter is Create of the record that prepare makes. Prepare may begin to
// write what has to be there before, which ready waits for, each time that it is
// called: that, the audit line and the record are made side by side, and the
// record is not seen before the others last. When ready gives ErrExists, somebody
// else has taken what was to be there before, and all but the line begins again.
func CreateAfter[T any, P pointer[T]](ctx context.Context, h Handle, ref Ref, prepare func() (value T, ready func() error, err error)) (Stored[T], error) {
	told := h.telling(ctx, nil, "create", ref)
	for {
		value, ready, err := prepare()
		var s Stored[T]
		if err == nil {
			s, err = create[T, P](ctx, h, ref.Key, value, func() error {
				_, failed := told()
				return errors.Join(failed, ready())
			})
			if errors.Is(ready(), azml.ErrExists) {
				continue
			}
		}
		event, failed := told()
		if failed != nil {
			return Stored[T]{}, failed
		}
		return s, event.end(ctx, err)
	}
}

// CreateQuiet is Create without an audit line, for records that are part of
// another resource. A time of creation that the record has already, because it
// was made elsewhere, stays.
func CreateQuiet[T any, P pointer[T]](ctx context.Context, h Handle, key string, value T) (Stored[T], error) {
	return create[T, P](ctx, h, key, value, nil)
}

// create is CreateQuiet of a record before which something else must last, see
// backend.PutOptions.
func create[T any, P pointer[T]](ctx context.Context, h Handle, key string, value T, before func() error) (Stored[T], error) {
	meta := P(&value).Common()
	if meta.CreatedBy = h.Who(); meta.Created.IsZero() {
		meta.Created = h.Now()
	}
	return write[T, P](ctx, h, key, Stored[T]{Value: value}, backend.PutOptions{IfNoneMatch: true, Before: before})
}

// PutQuiet writes a record whatever was there, without an audit line.
func PutQuiet[T any, P pointer[T]](ctx context.Context, h Handle, key string, value T) error {
	P(&value).Common().Created = h.Now()
	_, err := write[T, P](ctx, h, key, Stored[T]{Value: value}, backend.PutOptions{})
	return err
}

// Note is what an Update leaves in the audit log: a verb and what changed. The
// zero Note leaves no line.
type Note struct {
	// Op is the verb, "update" or "delete".
	Op string
	// Detail says what changed, in a few words. A record that can tell it better
	// does: one with the method ChangesFrom, which gives what is different from the
	// state before.
	Detail string
}

// Quiet is the Note that leaves no line.
var Quiet = Note{}

// Updated is the Note of a plain update.
func Updated(detail string) Note { return Note{Op: "update", Detail: detail} }

// ErrNoChange is returned by an update's function to leave the record as it is.
var ErrNoChange = errors.New("no change")

// Update reads the record, lets change work on it and writes it back if nobody
// changed it meanwhile, else begins again. change may run several times and
// must not keep what it was given; its error ends the update, ErrNoChange
// without being one. Errors: ErrNotFound, ErrConflict after very many lost
// races.
func Update[T any, P pointer[T]](ctx context.Context, h Handle, ref Ref, note Note, change func(*T) error) (Stored[T], error) {
	return UpdateFrom[T, P](ctx, h, ref, Stored[T]{}, note, change)
}

// UpdateFrom is Update of a record that the caller has read or written and takes to be so
// still: it is read only when it is not, and before change's error ends the update. The zero
// Stored is of a record to be read.
func UpdateFrom[T any, P pointer[T]](ctx context.Context, h Handle, ref Ref, held Stored[T], note Note, change func(*T) error) (Stored[T], error) {
	var event *event
	for range maxTries {
		s, err := current[T, P](ctx, h, ref.Key, held)
		if err != nil {
			return s, event.end(ctx, err)
		}
		unchanged := s
		err = change(&s.Value)
		wasHeld := held.raw != nil
		held = Stored[T]{}
		if err != nil && wasHeld { // it may be of a state that is no more
			continue
		}
		if errors.Is(err, ErrNoChange) {
			_ = event.end(ctx, azml.ErrConflict) // who was faster has made the change that ours was to be
			return unchanged, nil
		} else if err != nil {
			return Stored[T]{}, event.end(ctx, err)
		}
		if note != Quiet {
			if event, err = h.tell(ctx, event, note.Op, ref, told[T, P](unchanged.raw, &s.Value, note.Detail)); err != nil {
				return Stored[T]{}, err
			}
		}
		s, err = write[T, P](ctx, h, ref.Key, s, backend.PutOptions{IfMatch: s.ETag})
		if !errors.Is(err, azml.ErrConflict) {
			return s, event.end(ctx, err)
		}
	}
	return Stored[T]{}, event.end(ctx, fmt.Errorf("%w: %s was changed by others %d times in a row", azml.ErrConflict, ref.Key, maxTries))
}

// current gives the record as it is held, anew, for a change is to touch nothing of what the
// caller has, or reads it.
func current[T any, P pointer[T]](ctx context.Context, h Handle, key string, held Stored[T]) (Stored[T], error) {
	if held.raw == nil {
		return Get[T, P](ctx, h, key)
	}
	s, err := Restore[T, P](key, held.raw, held.ETag)
	s.Modified = held.Modified
	return s, err
}

// told says what an update changes: in the words of the record, if it has some
// for this change, else in those of the note.
func told[T any, P pointer[T]](before []byte, after P, detail string) string {
	teller, tells := any(after).(interface{ ChangesFrom(before P) []string })
	if !tells {
		return detail
	}
	var was T
	if err := record.Decode(before, P(&was)); err != nil { // it was decoded a moment ago
		return detail
	}
	if changes := teller.ChangesFrom(&was); len(changes) > 0 {
		return strings.Join(changes, "; ")
	}
	return detail
}

// Delete removes a record that the caller has read, if it is still as it was read
// (any state, when etag is empty), with an audit line. One that is gone since is
// what was asked for, and may be the work of this very request, which somebody on
// the way has sent twice: so of two that delete at the same time both succeed.
// Errors: ErrConflict.
func Delete(ctx context.Context, h Handle, ref Ref, etag backend.ETag) error {
	event, err := h.begin(ctx, "delete", ref, "")
	if err != nil {
		return err
	}
	err = h.Objects().Delete(ctx, ref.Key, &backend.DeleteOptions{IfMatch: etag})
	if errors.Is(err, azml.ErrNotFound) {
		err = nil
	}
	return event.end(ctx, err)
}

// write puts the record under a fresh token. A conflict may be our own write
// whose answer was lost: then the record that is there has our token.
func write[T any, P pointer[T]](ctx context.Context, h Handle, key string, s Stored[T], opts backend.PutOptions) (Stored[T], error) {
	meta := P(&s.Value).Common()
	meta.Touch(NewID(16), h.Now())
	data, err := record.Encode(P(&s.Value), s.raw)
	if err != nil {
		return Stored[T]{}, err
	}
	info, err := h.Objects().Put(ctx, key, bytes.NewReader(data), &opts)
	if errors.Is(err, azml.ErrExists) || errors.Is(err, azml.ErrConflict) {
		there, readErr := Get[T, P](ctx, h, key)
		if readErr == nil && P(&there.Value).Common().Token == meta.Token {
			return there, nil
		}
	}
	if err != nil {
		return Stored[T]{}, err
	}
	s.ETag, s.Modified, s.raw = info.ETag, info.Modified, data
	return s, nil
}

// readers is how many records a list reads at once: a store elsewhere takes many times as
// long for one as it needs the processor.
const readers = 8

// List yields the records below prefix whose keys pick accepts, in byte order
// of their keys, reading each, some ahead of what was yielded. A nil pick accepts all. A
// record that is deleted meanwhile is left out; a damaged one ends the list with its error.
func List[T any, P pointer[T]](ctx context.Context, h Handle, prefix string, pick func(key string) bool) iter.Seq2[Stored[T], error] {
	keys := func(yield func(string, error) bool) {
		for info, err := range h.Objects().List(ctx, &backend.ListOptions{Prefix: prefix}) {
			if (err != nil || pick == nil || pick(info.Key)) && !yield(info.Key, err) {
				return
			}
		}
	}
	read := func(key string) (*Stored[T], error) {
		s, err := Get[T, P](ctx, h, key)
		if errors.Is(err, azml.ErrNotFound) {
			return nil, nil
		}
		return &s, err
	}
	return func(yield func(Stored[T], error) bool) {
		for s, err := range inorder.Map(ctx, readers, keys, read) {
			switch {
			case err != nil:
				yield(Stored[T]{}, err)
				return
			case s != nil && !yield(*s, nil):
				return
			}
		}
	}
}

// Children yields the names directly below prefix (which ends in "/"), folders
// and objects alike, in byte order, without reading anything else.
func (h Handle) Children(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return h.children(ctx, prefix, func(backend.Info) bool { return true })
}

// Folders yields the names of the folders directly below prefix (which ends in
// "/"), in byte order.
func (h Handle) Folders(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return h.children(ctx, prefix, func(info backend.Info) bool { return info.IsPrefix })
}

func (h Handle) children(ctx context.Context, prefix string, pick func(backend.Info) bool) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for info, err := range h.Objects().List(ctx, &backend.ListOptions{Prefix: prefix, Delimiter: "/"}) {
			if err != nil {
				yield("", err)
				return
			}
			if !pick(info) {
				continue
			}
			name := info.Key[len(prefix):]
			if info.IsPrefix {
				name = name[:len(name)-1]
			}
			if !yield(name, nil) {
				return
			}
		}
	}
}
