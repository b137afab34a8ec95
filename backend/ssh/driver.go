package ssh

import (
	"context"
	"fmt"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/ssh/jobs"
)

// Driver runs jobs on a machine reached by SSH. It implements backend.Compute and
// backend.Remote, is safe for concurrent use, and any number of drivers in any
// number of processes can work with one machine and one folder there.
type Driver struct {
	*jobs.Driver
	address string
}

var (
	_ backend.OpenedCompute = (*Driver)(nil)
	_ backend.Reachable     = (*Driver)(nil)
)

// New gives a driver for the machine, to which it connects when it is first used.
// Close it. Errors: ErrInvalid, also for containers, which NewContainers is for.
func New(config Config) (*Driver, error) {
	c, err := config.check()
	if err == nil && c.Containers != nil {
		err = fmt.Errorf("%w: a driver of containers is made by NewContainers", azml.ErrInvalid)
	}
	if err != nil {
		return nil, err
	}
	m := &machine{config: c}
	return &Driver{jobs.NewDriver(jobs.Machine{Name: c.target(), Connect: m.connect, Patience: c.Patience}), c.Address}, nil
}

// ContainerDriver is a Driver that runs jobs in containers of an engine on the machine,
// and makes images there.
type ContainerDriver struct{ *jobs.Containers }

// NewContainers gives a driver for the engine that config.Containers is, with image
// as the one of environments that name none. It connects when it is first used. Close
// it. Errors: ErrInvalid.
func NewContainers(config Config, image string) (*ContainerDriver, error) {
	c, err := config.check()
	if err == nil && c.Containers == nil {
		err = fmt.Errorf("%w: say what engine the machine has", azml.ErrInvalid)
	}
	if err != nil {
		return nil, err
	}
	m := &machine{config: c}
	return &ContainerDriver{jobs.NewContainers(jobs.Machine{Name: c.target(), Connect: m.connect, Patience: c.Patience}, image)}, nil
}

// Address implements backend.Reachable: it is the address that the machine was
// attached by.
func (d *Driver) Address(ctx context.Context, id string) (string, error) {
	if _, err := d.Status(ctx, id); err != nil {
		return "", err
	}
	return d.address, nil
}
