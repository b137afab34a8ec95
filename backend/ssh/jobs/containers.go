package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// SharedFolder is the folder in all containers that every job can write to.
const SharedFolder = "/var/cache/azml"

// Containers is a Driver whose machine runs jobs in containers. It implements
// backend.Images and backend.Limiter, too.
type Containers struct {
	*Driver
	image string
}

var (
	_ backend.OpenedCompute = (*Containers)(nil)
	_ backend.Images        = (*Containers)(nil)
	_ backend.Limiter       = (*Containers)(nil)
)

// NewContainers gives a driver for a machine whose connections have called
// Client.Engine, with image as the one of environments that name none. Close it.
func NewContainers(machine Machine, image string) *Containers {
	return &Containers{NewDriver(machine), image}
}

// DefaultImage implements backend.Images.
func (c *Containers) DefaultImage() string { return c.image }

// SharedFolder implements backend.Images.
func (c *Containers) SharedFolder() string { return SharedFolder }

// BuildImage implements backend.Images. When the connection is lost the making ends,
// and begins anew with the next one.
func (c *Containers) BuildImage(ctx context.Context, recipe backend.ImageRecipe, log io.Writer) (made backend.Image, err error) {
	err = c.do(ctx, func(asked *Client) error {
		made, err = asked.BuildImage(ctx, recipe, log)
		return err
	})
	return made, err
}

// Images implements backend.Images. It asks once.
func (c *Containers) Images(ctx context.Context) iter.Seq2[backend.Image, error] {
	return func(yield func(backend.Image, error) bool) {
		last, stopped := "", false
		err := c.do(ctx, func(asked *Client) error {
			return asked.Images(ctx, last, func(i backend.Image) bool {
				last = i.Hash
				stopped = !yield(i, nil)
				return !stopped
			})
		})
		if err != nil && !stopped {
			yield(backend.Image{}, err)
		}
	}
}

// RemoveImage implements backend.Images.
func (c *Containers) RemoveImage(ctx context.Context, hash string) error {
	lost := false
	return c.do(ctx, func(asked *Client) error {
		err := asked.RemoveImage(ctx, hash)
		if lost && errors.Is(err, azml.ErrNotFound) {
			return nil // the call whose answer was lost has done it
		}
		lost = lost || errors.Is(err, ErrLost)
		return err
	})
}

// CheckLimits implements backend.Limiter.
func (c *Containers) CheckLimits(ctx context.Context, limits backend.Limits) error {
	return c.do(ctx, func(asked *Client) error { return asked.CheckLimits(ctx, limits) })
}

// Engine has this connection be about the containers of an engine of the machine: a
// target of one of the kinds that its program knows. It is the first call. Errors:
// ErrUnsupported when the program does not know the kind, and those of its driver.
func (c *Client) Engine(ctx context.Context, source backend.ComputeSource) error {
	body, err := json.Marshal(engineRequest{source.Type, source.Connection, source.Credentials})
	if err != nil {
		return fmt.Errorf("%w: %w", azml.ErrInvalid, err)
	}
	return c.call(ctx, http.MethodPost, "/engine", nil, bytes.NewReader(body), nil)
}

// BuildImage makes an image, as backend.Images has it.
func (c *Client) BuildImage(ctx context.Context, recipe backend.ImageRecipe, log io.Writer) (backend.Image, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	body, w := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		err := send(ctx, w, recipe)
		_ = w.CloseWithError(err) // nil is the end
		sent <- err
	}()
	made, err := c.askForImage(ctx, body, log)
	_ = body.Close() // the machine may not have read all
	if cause := <-sent; err != nil && cause != nil && !errors.Is(cause, io.ErrClosedPipe) {
		err = cause // rather than what the machine made of a torn body
	}
	return made, err
}

// send writes the body that asks for an image.
func send(ctx context.Context, w io.Writer, recipe backend.ImageRecipe) error {
	if err := json.NewEncoder(w).Encode(newImageRequest(recipe)); err != nil || recipe.Context == nil {
		return err
	}
	return recipe.Context.Write(ctx, w)
}

func (c *Client) askForImage(ctx context.Context, body io.Reader, log io.Writer) (backend.Image, error) {
	got, err := c.ask(ctx, http.MethodPost, "/image", nil, body)
	if err != nil {
		return backend.Image{}, err
	}
	defer got.Body.Close()
	for d := json.NewDecoder(got.Body); ; {
		var p imageProgress
		if err := d.Decode(&p); err != nil {
			if told := trailed(got); told != nil && errors.Is(err, io.EOF) {
				err = told
			} else {
				err = lost(ctx, err)
			}
			return backend.Image{}, err
		}
		if p.Image != nil {
			return *p.Image, nil
		}
		if _, err := log.Write(p.Log); err != nil {
			return backend.Image{}, err
		}
	}
}

// Images yields the images whose hashes come after one, in their order. What yield
// refuses ends it.
func (c *Client) Images(ctx context.Context, after string, yield func(backend.Image) bool) error {
	return askList(ctx, c, "/images", after, yield)
}

// RemoveImage removes an image, as backend.Images has it.
func (c *Client) RemoveImage(ctx context.Context, hash string) error {
	return c.call(ctx, http.MethodPost, "/unimage", url.Values{"hash": {hash}}, nil, nil)
}

// CheckLimits asks whether jobs can be held to limits, as backend.Limiter has it.
func (c *Client) CheckLimits(ctx context.Context, limits backend.Limits) error {
	body, err := json.Marshal(limits)
	if err != nil {
		return fmt.Errorf("%w: limits: %w", azml.ErrInvalid, err)
	}
	return c.call(ctx, http.MethodPost, "/limits", nil, bytes.NewReader(body), nil)
}
