package dataset

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/datastore"
)

// UploadOptions are the options of Client.UploadFiles.
type UploadOptions struct {
	// Pattern picks files by their paths below the folder, with the wildcards of
	// Path, such as "**/*.png"; all when it is empty.
	Pattern string
	// Overwrite replaces files that are there; without it they are skipped.
	Overwrite bool
	// Parallel is how many files go up at once, by default 8.
	Parallel int
	// Progress, when not nil, is told how far it is. Calls don't overlap; it must
	// not block.
	Progress func(datastore.Progress)
}

// UploadFiles stores the files below the local folder dir below the folder target of
// a datastore, as datastore.Upload does, and gives all files of that folder as a
// dataset that is not registered. When it is cut off, it goes on when it is called
// again. Errors: those of datastore.Upload; ErrInvalid for a target with wildcards or
// on the web, and a malformed pattern; ErrNotFound when there is no file in the end.
func (c *Client) UploadFiles(ctx context.Context, dir string, target Path, opts *UploadOptions) (_ *Dataset, err error) {
	defer c.h.Operation(&ctx, &err, "create", kind, "of uploaded files")()
	if opts == nil {
		opts = &UploadOptions{}
	}
	if wild(target.Path) || target.onWeb() || strings.Contains(target.Path, "://") {
		return nil, fmt.Errorf("%w: target %.200q: name a folder of a datastore", azml.ErrInvalid, target)
	}
	up := &datastore.UploadOptions{Overwrite: opts.Overwrite, Parallel: opts.Parallel, Progress: opts.Progress}
	if pattern := strings.Split(opts.Pattern, "/"); opts.Pattern != "" {
		if _, err := path.Match(strings.ReplaceAll(opts.Pattern, "**", "*"), ""); err != nil {
			return nil, fmt.Errorf("%w: pattern %.200q: %w", azml.ErrInvalid, opts.Pattern, err)
		}
		up.Filter = func(p string) bool { return matches(pattern, strings.Split(p, "/")) }
	}
	store, err := datastore.Lookup(ctx, c.h, target.Datastore)
	if err != nil {
		return nil, err
	}
	folder := strings.TrimSuffix(target.Path, "/")
	if folder != "" {
		folder += "/"
	}
	if _, err := store.Upload(ctx, dir, folder, up); err != nil {
		return nil, err
	}
	return c.FromFiles(ctx, []Path{{Datastore: store.Name(), Path: folder}}, nil)
}
