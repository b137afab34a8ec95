package kubernetes

import (
	"context"
	"fmt"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

var _ backend.Limiter = (*Driver)(nil)

// CheckLimits implements backend.Limiter. Whether a node has as much, today or when
// the cluster has grown, is for the cluster to tell: a run waits for it.
func (d *Driver) CheckLimits(_ context.Context, limits backend.Limits) error {
	if err := limits.Validate(); err != nil {
		return err
	}
	if limits.GPUs < 0 {
		return fmt.Errorf("%w: Kubernetes gives a number of GPUs, not all of them: name it", azml.ErrUnsupported)
	}
	return nil
}
