package snapshot

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"

	"github.com/azml-go/azml/internal/files"
)

// TakeOptions are the options of Take.
type TakeOptions struct {
	// OnSkip is told every file that vanished, became unreadable or kept
	// changing since the plan was made. It is never called twice at once.
	OnSkip func(Skipped)
	// OnEntry is called with every entry before it is handed on, in the
	// plan's order, to show progress.
	OnEntry func(Entry)
}

// Take puts what the plan lists into the store, and its manifest, and gives that
// with its ID. Files that have gone meanwhile are left out, unless the plan requires them. What an earlier snapshot of the same
// folder stored is neither read nor sent again.
//
// Errors: those of files.Batch, and of ctx.
func Take(ctx context.Context, store *files.Store, plan *Plan, opts *TakeOptions) (id string, _ *files.Manifest, _ files.Stats, err error) {
	if opts == nil {
		opts = &TakeOptions{}
	}
	scope, err := filepath.Abs(plan.Dir)
	if err != nil {
		return "", nil, files.Stats{}, fmt.Errorf("source folder %q: %w", plan.Dir, err)
	}
	batch, err := store.NewBatch(ctx, &files.BatchOptions{Scope: scope, Skip: plan.skipper(opts.OnSkip)})
	if err != nil {
		return "", nil, files.Stats{}, err
	}
	defer batch.Abort()
	for _, e := range plan.Entries {
		if opts.OnEntry != nil {
			opts.OnEntry(e)
		}
		if err := e.addTo(ctx, batch); err != nil {
			return "", nil, files.Stats{}, err
		}
	}
	return batch.CommitManifest(ctx)
}

func (e Entry) addTo(ctx context.Context, batch *files.Batch) error {
	switch e.Mode.Type() {
	case fs.ModeSymlink:
		return batch.AddLink(e.Path, e.Link)
	case fs.ModeDir:
		return batch.AddDir(e.Path)
	default:
		return batch.AddFile(ctx, e.Path, e.OSPath)
	}
}

// skipper tells onSkip one file after the other. A required file is an error.
func (p *Plan) skipper(onSkip func(Skipped)) func(path string, err error) error {
	var mu sync.Mutex
	return func(path string, err error) error {
		if slices.Contains(p.required, path) {
			return err
		}
		if onSkip != nil {
			mu.Lock()
			defer mu.Unlock()
			onSkip(Skipped{Path: path, Reason: plain(err)})
		}
		return nil
	}
}
