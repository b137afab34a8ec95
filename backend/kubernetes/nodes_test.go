package kubernetes_test

import (
	"io"
	"testing"

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
