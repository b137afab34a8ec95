package files

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// condemnation is what a collector wrote down of an object that nothing
// reached.
type condemnation struct {
	// ETag is the object's state then: one that was written again lives.
	ETag backend.ETag `json:"etag"`
	// Since is when that was durable. A collector can't know it before it has
	// written the list, and writers must have had a whole grace period to see
	// the entry; so it leaves it out, which means the time at which the store
	// took the list, and the next one puts that in.
	Since time.Time `json:"since,omitzero"`
}

// condemned is the list of objects that are going to be deleted, by key.
type condemned struct {
	Version int `json:"version"`
	// Generation is drawn anew whenever an entry is taken off. While it stays,
	// a pack that was there once and is not on the list is there still; so
	// writers need no listing of packs. It is random: a number could come back
	// in a store that was restored from a copy.
	Generation string `json:"generation,omitempty"`
	// Objects has what is going to be deleted.
	Objects map[string]condemnation `json:"objects"`

	etag backend.ETag // of the list itself, empty when there is none
}

// replace sets the entries.
func (l *condemned) replace(next map[string]condemnation) {
	for key := range l.Objects {
		if _, ok := next[key]; !ok {
			l.Generation = newPackID().String()
			break
		}
	}
	l.Objects = next
}

// readCondemned reads the list; one that is not there is empty.
func (s *Store) readCondemned(ctx context.Context) (*condemned, error) {
	list := &condemned{Version: 1, Objects: map[string]condemnation{}}
	data, info, err := s.get(ctx, condemnedKey)
	if errors.Is(err, azml.ErrNotFound) {
		return list, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the list of condemned objects: %w", err)
	}
	if err := json.Unmarshal(data, list); err != nil {
		return nil, fmt.Errorf("%w: %s is not JSON: %w", azml.ErrDamaged, condemnedKey, err)
	}
	if list.Version != 1 {
		return nil, fmt.Errorf("%w: %s has version %d, this program knows 1", azml.ErrUnsupported, condemnedKey, list.Version)
	}
	list.etag = info.ETag
	for key, entry := range list.Objects {
		if entry.Since.IsZero() {
			entry.Since = info.Modified
			list.Objects[key] = entry
		}
	}
	return list, nil
}

// writeCondemned replaces the list. ErrConflict when another collector wrote it
// since it was read.
func (s *Store) writeCondemned(ctx context.Context, list *condemned) error {
	data, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("write the list of condemned objects: %w", err)
	}
	info, err := s.objects.Put(ctx, condemnedKey, content(data), &backend.PutOptions{IfMatch: list.etag, IfNoneMatch: list.etag == ""})
	if errors.Is(err, azml.ErrExists) || errors.Is(err, azml.ErrConflict) {
		return fmt.Errorf("%w: another collector is at work: %w", azml.ErrConflict, err)
	}
	if err != nil {
		return fmt.Errorf("write the list of condemned objects: %w", err)
	}
	list.etag = info.ETag
	return nil
}

// get reads a whole object.
func (s *Store) get(ctx context.Context, key string) ([]byte, backend.Info, error) {
	return s.getRange(ctx, key, 0, 0)
}

// getRange reads a part of an object, or all of it when length is 0.
func (s *Store) getRange(ctx context.Context, key string, offset, length int64) ([]byte, backend.Info, error) {
	o, err := s.objects.Get(ctx, key, &backend.GetOptions{Offset: offset, Length: length})
	if err != nil {
		return nil, backend.Info{}, err
	}
	defer func() { _ = o.Body.Close() }()
	if length == 0 {
		length = o.Info.Size - offset
	}
	data := make([]byte, max(0, min(length, o.Info.Size-offset)))
	if _, err := io.ReadFull(o.Body, data); err != nil {
		return nil, o.Info, fmt.Errorf("%w: read %s: %w", azml.ErrUnavailable, key, err)
	}
	return data, o.Info, nil
}
