//go:build !linux

package agent

// Container is a container that this process runs in, which only Linux has.
type Container struct{}

// NewContainer gives one.
func NewContainer() *Container { return &Container{} }

// Clean says that it is not known.
func (*Container) Clean() bool { return false }
