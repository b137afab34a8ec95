package workspace

import (
	"context"

	"github.com/azml-go/azml/internal/index"
)

// Reindex compares this machine's search index with everything in the
// workspace, and mends what differs. Searches do so by themselves once a day,
// and bring in at once what was changed through the library: Reindex is for
// stores that were changed by other means. It lists all objects.
func (w *Workspace) Reindex(ctx context.Context) (err error) {
	defer w.h.Operation(&ctx, &err, "reindex", kind, w.Name())()
	x, err := index.Of(w.h)
	if err != nil {
		return err
	}
	return x.Refresh(ctx, true)
}
