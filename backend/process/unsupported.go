//go:build !linux && !darwin

package process

import (
	"fmt"
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

type compute = backend.Compute

// Driver can't be made on this platform.
type Driver struct{ compute }

// New gives ErrUnsupported on this platform.
func New(dir string, opts *Options) (*Driver, error) {
	return nil, fmt.Errorf("%w: local compute needs Linux or macOS, this is %s; use a remote compute target or Docker",
		azml.ErrUnsupported, runtime.GOOS)
}

// Close does nothing.
func (d *Driver) Close() error { return nil }
