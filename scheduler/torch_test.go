//go:build linux

package scheduler_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
)

// torchScript sums over all processes and trains a small model on data that is
// divided among them: in the end all have the same weights, and they fit.
const torchScript = `
import torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
torch.manual_seed(0)
dist.init_process_group("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
total = torch.tensor([float(rank + 1)])
dist.all_reduce(total)
print("sum", int(total.item()), "of", world, flush=True)
model = DistributedDataParallel(torch.nn.Linear(1, 1))
step = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.linspace(-1, 1, 64).reshape(-1, 1)[rank::world]
for _ in range(200):
    step.zero_grad()
    ((model(x) - (3 * x + 1)) ** 2).mean().backward()
    step.step()
weight, bias = [p.item() for p in model.parameters()]
print("fits", abs(weight - 3) < 1e-2 and abs(bias - 1) < 1e-2, flush=True)
weights = [torch.zeros(2) for _ in range(world)]
dist.all_gather(weights, torch.tensor([weight, bias]))
print("same", all(torch.equal(w, weights[0]) for w in weights), flush=True)
dist.destroy_process_group()
`

// TestTorch runs real torch.distributed on two nodes with two processes each.
func TestTorch(t *testing.T) {
	t.Parallel()
	python := testenv.Torch(t)
	ws, dir := open(t, compute.Cluster{}, 2)
	schedule(t, ws)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "train.py"), []byte(torchScript), 0o600))
	r := submit(t, ws, "torch", "", func(c *experiment.ScriptRunConfig) {
		onTwo(c)
		c.Command, c.Script, c.Source = nil, "train.py", t.TempDir()
		require.NoError(t, os.Rename(filepath.Join(dir, "train.py"), filepath.Join(c.Source, "train.py")))
		c.Environment = environment.Spec{Python: environment.Python{UserManaged: true, InterpreterPath: python}}
		c.Variables = map[string]string{"OMP_NUM_THREADS": "1"}
	})
	require.NoError(t, r.Wait(t.Context(), nil))
	for rank, log := range rankLogs(t, r) {
		require.Equal(t, []string{"sum 10 of 4", "fits True", "same True"}, strings.Split(strings.TrimSpace(log), "\n"), "rank %d", rank)
	}
	requireFree(t, ws)
}
