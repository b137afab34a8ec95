package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

var _ backend.Limiter = (*Driver)(nil)

// CheckLimits implements backend.Limiter. Whether there are GPUs an engine tells by
// the start of a container that asks for them, so that is tried with the target's
// own image, if it has one.
func (d *Driver) CheckLimits(ctx context.Context, limits backend.Limits) error {
	if err := limits.Validate(); err != nil {
		return err
	}
	r, err := d.client.Info(ctx, client.InfoOptions{})
	if err != nil {
		return classify(ctx, err)
	}
	info := r.Info
	switch {
	case limits.CPUs > float64(info.NCPU):
		return fmt.Errorf("%w: the engine has %d CPUs, not %g", azml.ErrUnsupported, info.NCPU, limits.CPUs)
	case limits.Memory > info.MemTotal:
		return fmt.Errorf("%w: the engine has %d bytes of memory, not %d", azml.ErrUnsupported, info.MemTotal, limits.Memory)
	case limits.CPUs > 0 && !info.CPUCfsQuota:
		return fmt.Errorf("%w: the kernel of the engine can't limit CPUs", azml.ErrUnsupported)
	case limits.Memory > 0 && !info.MemoryLimit:
		return fmt.Errorf("%w: the kernel of the engine can't limit memory", azml.ErrUnsupported)
	case limits.GPUs != 0 && d.opts.Image != "":
		return d.tryGPUs(ctx, limits.GPUs)
	}
	return nil
}

// tryGPUs starts a container that does nothing with so many GPUs.
func (d *Driver) tryGPUs(ctx context.Context, n int) error {
	if _, err := d.image(ctx, d.opts.Image); err != nil {
		return err
	}
	job := backend.Job{Limits: backend.Limits{GPUs: n}}
	c, err := d.client.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config:     &container.Config{Image: d.opts.Image, Entrypoint: []string{shell, "-c", ":"}, NetworkDisabled: true},
		HostConfig: &container.HostConfig{Resources: container.Resources{DeviceRequests: gpus(n)}},
	})
	if err != nil {
		return limitError(classify(ctx, err), job)
	}
	_, err = d.client.ContainerStart(ctx, c.ID, client.ContainerStartOptions{})
	_, removed := d.client.ContainerRemove(context.WithoutCancel(ctx), c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	return errors.Join(limitError(classify(ctx, err), job), classify(ctx, removed))
}

// limitError gives refusals of what a job may use their class.
func limitError(err error, job backend.Job) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for word, asked := range map[string]bool{"CPUs": job.Limits.CPUs > 0, "emory": job.Limits.Memory > 0, "device driver": job.Limits.GPUs != 0} {
		if asked && strings.Contains(text, word) {
			return fmt.Errorf("%w: the engine can't give the job what its limits ask for: %s", azml.ErrUnsupported, text)
		}
	}
	return err
}

// limits gives those of a job: its own, or else those of all.
func (d *Driver) limits(of backend.Limits) backend.Limits {
	all := d.opts.Limits
	return backend.Limits{CPUs: cmp.Or(of.CPUs, all.CPUs), Memory: cmp.Or(of.Memory, all.Memory),
		SharedMemory: cmp.Or(of.SharedMemory, all.SharedMemory), GPUs: cmp.Or(of.GPUs, all.GPUs)}
}

// resources says in the engine's words what a container may use.
func resources(l backend.Limits) container.Resources {
	const perCPU = 1_000_000_000
	return container.Resources{NanoCPUs: int64(l.CPUs * perCPU), Memory: l.Memory, MemorySwap: l.Memory, DeviceRequests: gpus(l.GPUs)} // no swap beyond
}

func gpus(n int) []container.DeviceRequest {
	if n == 0 {
		return nil
	}
	return []container.DeviceRequest{{Count: n, Capabilities: [][]string{{"gpu"}}}}
}
