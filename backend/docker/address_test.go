package docker_test

import (
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/cluster"
	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/internal/testenv"
)

// meet has node 1 say something to node 0, over the network.
const meet = `
import os, pathlib, socket, time
port = pathlib.Path("/shared/port")
if os.environ["AZML_NODE_RANK"] == "0":
    with socket.create_server(("", 0)) as server:
        port.with_suffix(".new").write_text(str(server.getsockname()[1]))
        port.with_suffix(".new").rename(port)
        print(server.accept()[0].recv(100).decode())
else:
    while not port.exists():
        time.sleep(0.01)
    with socket.create_connection((os.environ["AZML_MAIN_ADDRESS"], int(port.read_text()))) as s:
        s.sendall(b"met")
`

// TestNodesOfOneEngine has two containers of an engine find each other.
func TestNodesOfOneEngine(t *testing.T) {
	t.Parallel()
	opts := options(t, testenv.Docker(t))
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o777))
	opts.Mounts = []docker.Mount{{Source: dir, Target: "/shared"}}
	alone := open(t, opts)
	require.NoError(t, alone.Start(t.Context(), backend.Job{ID: "alone", Command: []string{"/bin/true"}, Dir: "/"}))
	_, err := alone.Address(t.Context(), "alone")
	require.ErrorIs(t, err, azml.ErrUnsupported, "it has no network")
	_, err = alone.Address(t.Context(), "nobody")
	require.ErrorIs(t, err, azml.ErrNotFound)
	opts.Network = "host"
	c, err := cluster.New([]backend.OpenedCompute{open(t, opts), open(t, opts)})
	require.NoError(t, err)
	require.NoError(t, c.Start(t.Context(), backend.Job{ID: "meet", Command: []string{"/usr/bin/python3", "-c", meet}, Dir: "/", Nodes: 2}))
	s, err := c.Wait(t.Context(), "meet")
	require.NoError(t, err)
	require.Equal(t, backend.JobExited, s.State)
	require.Zero(t, s.ExitCode)
	output, err := c.Output(t.Context(), "meet", &backend.OutputOptions{})
	require.NoError(t, err)
	defer output.Close()
	text, err := io.ReadAll(output)
	require.NoError(t, err)
	require.Equal(t, "met\n", string(text))
}
