package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// imaged is a cluster of targets that make images.
type imaged struct {
	*Cluster
	targets []backend.Images
}

// DefaultImage implements backend.Images: that of node 0.
func (c *imaged) DefaultImage() string { return c.targets[0].DefaultImage() }

// SharedFolder implements backend.Images: that of node 0.
func (c *imaged) SharedFolder() string { return c.targets[0].SharedFolder() }

// BuildImage implements backend.Images: all nodes get it, one after another, for
// those of one engine find there what the first has made.
func (c *imaged) BuildImage(ctx context.Context, recipe backend.ImageRecipe, log io.Writer) (backend.Image, error) {
	var first backend.Image
	for n, target := range c.targets {
		made, err := target.BuildImage(ctx, recipe, log)
		if err != nil {
			return made, onNode(n, err)
		}
		if n == 0 {
			first = made
		}
		if made.Name != first.Name {
			return made, fmt.Errorf("%w: node 0 has the image as %s, node %d as %s", azml.ErrUnsupported, first.Name, n, made.Name)
		}
	}
	return first, nil
}

// Images implements backend.Images: those of node 0.
func (c *imaged) Images(ctx context.Context) iter.Seq2[backend.Image, error] {
	return c.targets[0].Images(ctx)
}

// RemoveImage implements backend.Images.
func (c *imaged) RemoveImage(ctx context.Context, hash string) error {
	var removed bool
	for n, target := range c.targets {
		switch err := target.RemoveImage(ctx, hash); {
		case err == nil:
			removed = true
		case !errors.Is(err, azml.ErrNotFound):
			return onNode(n, err)
		}
	}
	if !removed {
		return fmt.Errorf("%w: image %s", azml.ErrNotFound, hash)
	}
	return nil
}
