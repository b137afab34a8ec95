package kubernetes_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/cluster"
	"github.com/azml-go/azml/internal/testenv"
)

// TestSeveralNodes has a job on two nodes of a cluster whose nodes are pods: they find
// each other over the network of pods.
func TestSeveralNodes(t *testing.T) {
	t.Parallel()
	p := place(t, testenv.Kubernetes(t))
	first, second := open(t, p), open(t, p)
	both, err := cluster.New([]backend.OpenedCompute{first, second})
	require.NoError(t, err)
	const meet = `import os, socket, time
rank, main = os.environ["AZML_NODE_RANK"], os.environ["AZML_MAIN_ADDRESS"]
if rank == "0":
    s = socket.create_server(("", 4242))
    c, _ = s.accept()
    print(c.recv(100).decode(), flush=True)
else:
    while True:
        try: c = socket.create_connection((main, 4242)); break
        except OSError: time.sleep(0.1)
    c.sendall(b"hello from 1"); print("sent", flush=True)`
	job := backend.Job{ID: "both", Command: []string{"python3", "-c", meet}, Dir: "/", Env: map[string]string{"PATH": "/usr/bin:/bin"}, Nodes: 2}
	require.NoError(t, both.Start(t.Context(), job))
	s, err := both.Wait(t.Context(), "both")
	require.NoError(t, err)
	require.Equal(t, backend.JobExited, s.State, s.Reason)
	require.Zero(t, s.ExitCode, s.Reason)
	for node, want := range []string{"hello from 1\n", "sent\n"} {
		r, err := both.Output(t.Context(), "both", &backend.OutputOptions{Node: node})
		require.NoError(t, err)
		said, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.Equal(t, want, string(said))
	}
	require.NoError(t, both.Remove(t.Context(), "both"))
	for s, err := range first.List(t.Context()) {
		require.NoError(t, err)
		require.Fail(t, "a job is left", s.ID)
	}
}

// TestNodeDeleted takes one of two nodes away: the other one does not go on alone.
func TestNodeDeleted(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	p := place(t, cluster)
	d := open(t, p)
	job := shell("both", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done")
	job.Nodes = 2
	require.NoError(t, d.Start(t.Context(), job))
	require.NoError(t, read(t, d, "both", "ready\n").Close())
	of := fmt.Sprintf("azml/driver=%.12x", sha256.Sum256([]byte(p.Name)))
	cluster.Kubectl(t, "", "delete", "pod", "--force", "--grace-period=0", "-l", of+",batch.kubernetes.io/job-completion-index=1")
	s, err := d.Wait(t.Context(), "both")
	require.NoError(t, err)
	require.Equal(t, backend.JobLost, s.State)
	require.Contains(t, s.Reason, "node 1 was lost: its pod is gone")
	require.NoError(t, d.Remove(t.Context(), "both"))
	require.Eventually(t, func() bool {
		return cluster.Kubectl(t, "", "get", "pods,services,secrets", "-l", of, "-o", "name") == ""
	},
		5*time.Minute, 100*time.Millisecond, "nothing is left of it")
}
