package endpoint

import "github.com/azml-go/azml/internal/core"

// NewClient is for package workspace.
func NewClient(h core.Handle) *Client { return &Client{h} }

// Sweep is for package workspace: it removes the working folders of scoring
// scripts whose serving processes were killed on this machine.
func Sweep(h core.Handle) error { return sweep(h) }
