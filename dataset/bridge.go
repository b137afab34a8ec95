package dataset

import (
	"github.com/azml-go/azml/internal/core"
)

// NewClient is for package workspace.
func NewClient(h core.Handle) *Client { return &Client{h} }
