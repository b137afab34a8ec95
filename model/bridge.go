package model

import (
	"context"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/record"
)

// NewClient is for package workspace.
func NewClient(h core.Handle) *Client { return &Client{h} }

// RegisterFiles is for packages that have files in the workspace: it registers
// them as the next version of draft.Name. Path, RunID, Experiment and Lineage
// of draft say where they come from.
func RegisterFiles(ctx context.Context, h core.Handle, draft record.Model, manifest *files.Manifest, opts *RegisterOptions) (_ *Model, err error) {
	defer h.Operation(&ctx, &err, "register", kind, draft.Name)()
	if opts == nil {
		opts = &RegisterOptions{}
	}
	if err := opts.check(draft.Name); err != nil {
		return nil, err
	}
	if err := checkDatasets(ctx, h, opts); err != nil {
		return nil, err
	}
	if manifest, err = pickChildren(manifest, opts.ChildPaths); err != nil {
		return nil, err
	}
	opts.fill(&draft)
	return register(ctx, h, draft, manifest)
}
