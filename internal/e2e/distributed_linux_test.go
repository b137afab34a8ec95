package e2e

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/experiment"
)

// TestDistributedOnKubernetes has two processes on each of two pods, which reach the
// first of them by the address that they are given.
func TestDistributedOnKubernetes(t *testing.T) {
	t.Parallel()
	on := target{name: "in Kubernetes", compute: "k8s", site: clustered, elsewhere: true}
	ws, _ := onTarget(t, on)
	const script = `
import os, socket
rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
main = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
if rank == 0:
    with socket.create_server(("0.0.0.0", main[1])) as s:
        said = sorted(s.accept()[0].recv(10).decode() for _ in range(size - 1))
    print("heard", *said)
else:
    while True:
        try:
            with socket.create_connection(main, timeout=5) as s:
                s.sendall(str(rank).encode())
                break
        except OSError:
            pass
    print("rank", rank, "of", size, "on node", os.environ["NODE_RANK"])
`
	r := on.begin(t, ws, "", func(c *experiment.ScriptRunConfig) {
		c.Command = []string{"python3", "-c", script}
		c.Distributed = experiment.PyTorch{CommunicationBackend: "gloo", NodeCount: 2, ProcessCount: 4}
	})
	require.NoError(t, r.Wait(t.Context(), nil))
	require.Equal(t, "heard 1 2 3\n", outputOf(t, r))
	for rank := 1; rank < 4; rank++ {
		require.Equal(t, fmt.Sprintf("rank %d of 4 on node %d\n", rank, rank/2), logOf(t, r, fmt.Sprintf("user_logs/std_log_process_%d.txt", rank)))
	}
}
