package core

import (
	"fmt"

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
