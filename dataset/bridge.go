package dataset

import (
	"context"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// NewClient is for package workspace.
func NewClient(h core.Handle) *Client { return &Client{h} }

// Note is for package mirror: it keeps a definition, and notes that the version
// has it, "name:version", unless that is empty.
func Note(ctx context.Context, h core.Handle, id string, def record.DataDefinition, version string) error {
	if err := save(ctx, h, id, def); err != nil || version == "" {
		return err
	}
	return claim(ctx, h, id, version)
}
