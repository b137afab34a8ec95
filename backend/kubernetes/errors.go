package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/azml-go/azml"
)

// webhookDenied is what the API server says of what an admission webhook denies, with
// whatever code that has.
const webhookDenied = "denied the request"

// classify gives an error of the API server, or of the way to it, its class.
func classify(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case azml.ClassOf(err) != nil:
		return err
	}
	class := azml.ErrUnavailable
	switch {
	case apierrors.IsNotFound(err):
		class = azml.ErrNotFound
	case apierrors.IsAlreadyExists(err):
		class = azml.ErrExists
	case apierrors.IsConflict(err):
		class = azml.ErrConflict
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err), strings.Contains(err.Error(), webhookDenied):
		class = azml.ErrDenied
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		class = azml.ErrInvalid
	}
	return fmt.Errorf("%w: %w", class, err)
}

// denied tells whether the API server has answered that it will not do it.
func refused(err error) bool {
	return err != nil && !errors.Is(err, azml.ErrUnavailable) && azml.ClassOf(err) != nil
}
