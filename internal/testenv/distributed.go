package testenv

import (
	"context"
	"os/exec"
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
