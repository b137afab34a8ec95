package workspace

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
)

// DeleteOptions are the options of Workspace.Delete.
type DeleteOptions struct {
	// DeleteSecrets deletes every secret of the secret store, too. It is for
	// stores that hold nothing else; those of a local workspace always go.
	DeleteSecrets bool
	// Kept, when not nil, is called with the key of each object that stays,
	// because it is none of a workspace.
	Kept func(key string)
}

// Delete deletes the workspace with all its objects, and closes it. Objects that
// are none of a workspace stay. A local workspace goes with its secrets, and with
// its folder unless such objects are there. There is no way back. The
// record goes first, so that no one opens it meanwhile. A delete that is cut off
// leaves objects behind, in which neither Open nor Create makes a workspace.
func (w *Workspace) Delete(ctx context.Context, opts *DeleteOptions) (err error) {
	defer w.h.Operation(&ctx, &err, "delete", kind, w.Name())()
	if opts == nil {
		opts = &DeleteOptions{}
	}
	if err := core.Delete(ctx, w.h, ref(w.Name()), ""); err != nil {
		return err
	}
	if opts.DeleteSecrets {
		if err := w.deleteSecrets(ctx); err != nil {
			return err
		}
	}
	kept, err := w.deleteObjects(ctx, opts.Kept)
	if err != nil {
		return err
	}
	if err := w.Close(ctx); err != nil {
		return err
	}
	switch dir := w.h.Dir(); {
	case dir == "":
		return nil
	case kept > 0:
		return os.RemoveAll(filepath.Join(dir, secretsDir))
	default:
		return os.RemoveAll(dir)
	}
}

// deleteObjects deletes the workspace's objects and gives how many others there
// are.
func (w *Workspace) deleteObjects(ctx context.Context, tell func(key string)) (kept int, err error) {
	for info, err := range w.h.Objects().List(ctx, &backend.ListOptions{}) {
		if err != nil {
			return kept, err
		}
		if !other(info.Key) && shapeOf(info.Key) == nil {
			if kept++; tell != nil {
				tell(info.Key)
			}
			continue
		}
		if err := w.h.Objects().Delete(ctx, info.Key, &backend.DeleteOptions{}); err != nil && !errors.Is(err, azml.ErrNotFound) {
			return kept, err
		}
	}
	return kept, nil
}

func (w *Workspace) deleteSecrets(ctx context.Context) error {
	var names []string
	for name, err := range w.h.Secrets().List(ctx) {
		if err != nil {
			return err
		}
		names = append(names, name)
	}
	for _, name := range names {
		if err := w.h.Secrets().Delete(ctx, name); err != nil && !errors.Is(err, azml.ErrNotFound) {
			return err
		}
	}
	return nil
}
