package testenv

import (
	"context"
	"os/exec"
	"sync"
	"testing"
)

// systemPython is what Debian's packages are for.
const systemPython = "/usr/bin/python3"

// Torch gives a Python with PyTorch for processors, whose processes can speak with each
// other. PyPI's for Linux brings gigabytes of what an accelerator needs; Debian's does not.
func Torch(t testing.TB) (python string) {
	t.Helper()
	return need(t, AbilityTorch, func() (string, error) { return torch(t.Context()) })
}

func torch(ctx context.Context) (string, error) { return program(ctx, findTorch, "python3-torch") }

func findTorch(ctx context.Context) (string, error) {
	_, err := output(ctx, systemPython, "-c", `import torch.distributed, sys; sys.exit(not torch.distributed.is_gloo_available() and "it has no gloo")`)
	return systemPython, err
}

// MPI gives the program mpirun of an Open MPI.
func MPI(t testing.TB) string {
	t.Helper()
	return need(t, AbilityMPI, func() (string, error) { return mpi(t.Context()) })
}

func mpi(ctx context.Context) (string, error) {
	return program(ctx, func(context.Context) (string, error) { return exec.LookPath("mpirun") }, "openmpi-bin")
}

// DistributedImage is an image with what [DockerImage] has, PyTorch and Open MPI.
const DistributedImage = "azml-test/distributed:1"

// importing is held while images come to engines.
var importing sync.Mutex

// Distributed gives the name of [DistributedImage], which the engine has then.
func (e *DockerEngine) Distributed(t testing.TB) string {
	t.Helper()
	root := need(t, AbilityDistributedImage, func() (string, error) { return distributedRoot(t.Context(), false) })
	importing.Lock()
	defer importing.Unlock()
	if _, err := output(t.Context(), "docker", "-H", e.Host, "image", "inspect", DistributedImage); err == nil {
		return DistributedImage
	}
	if err := e.importImage(t.Context(), root, DistributedImage); err != nil {
		t.Fatal(err)
	}
	return DistributedImage
}

// Distributed gives the name of an image with what [DistributedImage] has, which the
// registry has then.
func (c *KubernetesCluster) Distributed(t testing.TB) string {
	t.Helper()
	root := need(t, AbilityDistributedImage, func() (string, error) { return distributedRoot(t.Context(), false) })
	image := c.Registry + "/" + DistributedImage
	if err := c.push(t.Context(), image, root); err != nil {
		t.Fatal(err)
	}
	return image
}

func distributedRoot(ctx context.Context, again bool) (string, error) {
	if _, err := program(ctx, findDebootstrap, "debootstrap"); err != nil {
		return "", err
	}
	return debianRoot(ctx, "distributed-root-1", again, "python3-torch", "openmpi-bin")
}
