package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/azml-go/azml"
)

// classify gives an error of the engine its class.
func classify(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case cerrdefs.IsNotFound(err):
		return fmt.Errorf("%w: %w", azml.ErrNotFound, err)
	case cerrdefs.IsConflict(err):
		return fmt.Errorf("%w: %w", azml.ErrConflict, err)
	case cerrdefs.IsInvalidArgument(err):
		return fmt.Errorf("%w: %w", azml.ErrInvalid, err)
	case cerrdefs.IsPermissionDenied(err), cerrdefs.IsUnauthorized(err), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: the Docker engine refuses this user (on Linux, members of the group docker may use it): %w", azml.ErrDenied, err)
	case client.IsErrConnectionFailed(err):
		return fmt.Errorf("%w: no Docker engine answers: start it, or name another: %w", azml.ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
}

// noFile gives an error of this machine's files its class.
func noFile(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: %w", azml.ErrDenied, err)
	}
	return fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
}
