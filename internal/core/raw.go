package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/record"
)

// Raw gives the record's bytes as they were read or written. They are not to be
// changed.
func (s Stored[T]) Raw() []byte { return s.raw }

// Restore gives the record that Raw and its ETag were kept of, without reading
// the store.
func Restore[T any, P pointer[T]](key string, raw []byte, etag backend.ETag) (Stored[T], error) {
	s := Stored[T]{ETag: etag, raw: raw}
	if err := record.Decode(raw, P(&s.Value)); err != nil {
		return Stored[T]{}, fmt.Errorf("%s: %w", key, err)
	}
	return s, nil
}

// Adopt writes a record that was read in another workspace: its token, its times
// and who made it stay, what this version doesn't know of it as well. With an
// ETag it replaces that state, without one it creates the record. One of the same
// token that is there already is given as if it had been written just now. It
// leaves no audit line. Errors: ErrExists or ErrConflict when another state is there.
func Adopt[T any, P pointer[T]](ctx context.Context, h Handle, key string, from Stored[T], over backend.ETag) (Stored[T], error) {
	data, err := record.Encode(P(&from.Value), from.raw)
	if err != nil {
		return Stored[T]{}, err
	}
	info, err := h.Objects().Put(ctx, key, bytes.NewReader(data), &backend.PutOptions{IfNoneMatch: over == "", IfMatch: over})
	if errors.Is(err, azml.ErrExists) || errors.Is(err, azml.ErrConflict) {
		there, readErr := Get[T, P](ctx, h, key)
		if readErr == nil && P(&there.Value).Common().Token == P(&from.Value).Common().Token {
			return there, nil
		}
	}
	if err != nil {
		return Stored[T]{}, err
	}
	return Stored[T]{Value: from.Value, ETag: info.ETag, Modified: info.Modified, raw: data}, nil
}
