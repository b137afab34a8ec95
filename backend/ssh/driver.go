package ssh

import (
	"context"

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
// Close it. Errors: ErrInvalid.
func New(config Config) (*Driver, error) {
	c, err := config.check()
	if err != nil {
		return nil, err
	}
	m := &machine{config: c}
	return &Driver{jobs.NewDriver(jobs.Machine{Name: c.target(), Connect: m.connect, Patience: c.Patience}), c.Address}, nil
}

// Address implements backend.Reachable: it is the address that the machine was
// attached by.
func (d *Driver) Address(ctx context.Context, id string) (string, error) {
	if _, err := d.Status(ctx, id); err != nil {
		return "", err
	}
	return d.address, nil
}
