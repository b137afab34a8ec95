package registry

import (
	"context"
	"fmt"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/record"
)

// RegisterAs is Register for a version that has a number already, because it was
// registered elsewhere: draft.Version, which must be the next one. name is the
// model's own and no later one, and the model is there. Errors: ErrConflict when
// the number is not the next.
func RegisterAs(ctx context.Context, h core.Handle, name string, draft record.Model, manifest *files.Manifest) (core.Stored[record.Model], error) {
	if err := keep(ctx, h, &draft, manifest); err != nil {
		return core.Stored[record.Model]{}, err
	}
	draft.Name = name
	_, stored, err := core.Allot(ctx, h, Versions(name), true, func(n int) (record.Model, error) {
		if n != draft.Version {
			return draft, fmt.Errorf("%w: the next version of model %q is %d, not %d", azml.ErrConflict, name, n, draft.Version)
		}
		return draft, nil
	})
	if err != nil {
		return stored, err
	}
	return stored, touch(ctx, h, stored.Value)
}
