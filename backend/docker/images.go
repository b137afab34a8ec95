package docker

import (
	"context"
	"errors"
	"fmt"

	"github.com/moby/moby/client"

	"github.com/azml-go/azml"
)

// image describes an image, which is pulled when the engine lacks it.
func (d *Driver) image(ctx context.Context, name string) (client.ImageInspectResult, error) {
	info, err := d.client.ImageInspect(ctx, name)
	if err = classify(ctx, err); !errors.Is(err, azml.ErrNotFound) {
		return info, err
	}
	pull, err := d.client.ImagePull(ctx, name, client.ImagePullOptions{})
	if err == nil {
		err = pull.Wait(ctx)
	}
	if err != nil {
		return info, fmt.Errorf("image %s is not on the engine, and can't be pulled: %w", name, classify(ctx, err))
	}
	info, err = d.client.ImageInspect(ctx, name)
	return info, classify(ctx, err)
}
