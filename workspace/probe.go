package workspace

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
)

// probe tries whether the store honours the conditions of writes. All of the
// workspace's correctness rests on them.
func probe(ctx context.Context, objects backend.Objects) error {
	key := "probe-" + core.NewID(8)
	put := func(content string, opts backend.PutOptions) (backend.Info, error) {
		return objects.Put(ctx, key, strings.NewReader(content), &opts)
	}
	first, err := put("1", backend.PutOptions{IfNoneMatch: true})
	if err != nil {
		return fmt.Errorf("try to write an object: %w", err)
	}
	_, again := put("2", backend.PutOptions{IfNoneMatch: true})
	_, replaced := put("3", backend.PutOptions{IfMatch: first.ETag})
	_, stale := put("4", backend.PutOptions{IfMatch: first.ETag})
	err = objects.Delete(ctx, key, &backend.DeleteOptions{})
	if err != nil && !errors.Is(err, azml.ErrNotFound) { // gone is gone: see core.Delete
		return fmt.Errorf("try to delete an object: %w", err)
	}
	if !errors.Is(again, azml.ErrExists) || !errors.Is(stale, azml.ErrConflict) {
		return fmt.Errorf("%w: the object store does not honour the conditions of writes (create only, replace if unchanged), so changes would get lost: use another store", azml.ErrUnsupported)
	}
	if replaced != nil {
		return fmt.Errorf("try to replace an object: %w", replaced)
	}
	return nil
}
