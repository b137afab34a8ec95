package experiment

import (
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/run"
)

// NewClient is for package workspace.
func NewClient(h core.Handle) *Client { return &Client{h} }

// RunClient is for packages that get an experiment and need the runs of its
// workspace.
func RunClient(e *Experiment) *run.Client { return run.NewClient(e.h) }
