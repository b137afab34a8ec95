//go:build !linux && !darwin

package process

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net"
	"runtime"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Options are the options of New.
type Options struct {
	// LeftoverGrace is not used on this platform.
	LeftoverGrace time.Duration
}

// Driver runs no jobs on this platform: all its methods give ErrUnsupported.
type Driver struct{}

var _ backend.Compute = (*Driver)(nil)

var errUnsupported = fmt.Errorf("%w: local compute needs Linux or macOS, this is %s", azml.ErrUnsupported, runtime.GOOS)

// New gives a driver that says that this platform has none, so that a
// workspace can be opened for all else.
func New(string, *Options) (*Driver, error) { return &Driver{}, nil }

// Close does nothing.
func (*Driver) Close() error { return nil }

// Check gives ErrUnsupported.
func (*Driver) Check(context.Context) error { return errUnsupported }

// Platform gives ErrUnsupported.
func (*Driver) Platform(context.Context) (backend.Platform, error) {
	return backend.Platform{}, errUnsupported
}

// Install gives ErrUnsupported.
func (*Driver) Install(context.Context, string, backend.Content) (string, error) {
	return "", errUnsupported
}

// Listen gives ErrUnsupported.
func (*Driver) Listen(context.Context, string) (net.Listener, string, error) {
	return nil, "", errUnsupported
}

// Address gives ErrUnsupported.
func (*Driver) Address(context.Context, string) (string, error) { return "", errUnsupported }

// Start gives ErrUnsupported.
func (*Driver) Start(context.Context, backend.Job) error { return errUnsupported }

// Status gives ErrUnsupported.
func (*Driver) Status(context.Context, string) (backend.JobStatus, error) {
	return backend.JobStatus{}, errUnsupported
}

// Wait gives ErrUnsupported.
func (*Driver) Wait(context.Context, string) (backend.JobStatus, error) {
	return backend.JobStatus{}, errUnsupported
}

// Output gives ErrUnsupported.
func (*Driver) Output(context.Context, string, *backend.OutputOptions) (io.ReadCloser, error) {
	return nil, errUnsupported
}

// Cancel gives ErrUnsupported.
func (*Driver) Cancel(context.Context, string, time.Duration) error { return errUnsupported }

// Remove gives ErrUnsupported.
func (*Driver) Remove(context.Context, string) error { return errUnsupported }

// List yields nothing: there are no jobs.
func (*Driver) List(context.Context) iter.Seq2[backend.JobStatus, error] {
	return func(func(backend.JobStatus, error) bool) {}
}
