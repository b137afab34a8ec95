package docker

import (
	"context"
	"fmt"
	"slices"

	"github.com/azml-go/azml"
)

// Address implements backend.Reachable: it gives the address of the job's container
// in its network, where containers of the same network reach it at any port. With
// the engine's own network it is this machine. It is one request. Errors: ErrNotFound,
// ErrUnsupported when the container has no network.
func (d *Driver) Address(ctx context.Context, id string) (string, error) {
	c, err := d.inspect(ctx, id)
	if err != nil {
		return "", err
	}
	if c.HostConfig != nil && c.HostConfig.NetworkMode.IsHost() {
		return "127.0.0.1", nil
	}
	if c.NetworkSettings != nil {
		var found []string
		for _, n := range c.NetworkSettings.Networks {
			if n != nil && n.IPAddress.IsValid() {
				found = append(found, n.IPAddress.String())
			}
		}
		if len(found) > 0 {
			return slices.Min(found), nil
		}
	}
	return "", fmt.Errorf("%w: the container of job %q has no address: attach the target with a network", azml.ErrUnsupported, id)
}
