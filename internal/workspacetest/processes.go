package workspacetest

import (
	"context"
	"time"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/process"
)

// Processes opens real targets of processes, in front of which a test does what
// becomes of their jobs. Its functions are set before they are called.
type Processes struct {
	process.ComputeDriver
	// Start starts a job instead of the target. Nil: the target does.
	Start func(ctx context.Context, target backend.OpenedCompute, job backend.Job) error
	// Cancel ends a job instead of the target. Nil: the target does.
	Cancel func(ctx context.Context, target backend.OpenedCompute, id string, grace time.Duration) error
}

// Open opens a target.
func (p *Processes) Open(ctx context.Context, source backend.ComputeSource) (backend.OpenedCompute, error) {
	opened, err := p.ComputeDriver.Open(ctx, source)
	return &processTarget{opened, p}, err
}

type processTarget struct {
	backend.OpenedCompute
	driver *Processes
}

func (t *processTarget) Start(ctx context.Context, job backend.Job) error {
	if t.driver.Start == nil {
		return t.OpenedCompute.Start(ctx, job)
	}
	return t.driver.Start(ctx, t.OpenedCompute, job)
}

func (t *processTarget) Cancel(ctx context.Context, id string, grace time.Duration) error {
	if t.driver.Cancel == nil {
		return t.OpenedCompute.Cancel(ctx, id, grace)
	}
	return t.driver.Cancel(ctx, t.OpenedCompute, id, grace)
}
