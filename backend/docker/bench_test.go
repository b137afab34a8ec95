package docker_test

import (
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/internal/testenv"
)

// BenchmarkDockerRun is the floor: what the engine takes to make, start and wait
// for a container that does nothing. The command's own start is in it, some 30 ms.
func BenchmarkDockerRun(b *testing.B) {
	engine := testenv.Docker(b)
	for b.Loop() {
		out, err := exec.Command("docker", "-H", engine.Host, "run", "--init", "--network", "none", testenv.DockerImage, "/bin/true").CombinedOutput()
		require.NoError(b, err, string(out))
	}
}

// BenchmarkStartWait is from the call to when the end is known.
func BenchmarkStartWait(b *testing.B) {
	d, err := docker.New(&docker.Options{Host: testenv.Docker(b).Host, Name: b.Name(), Dir: b.TempDir(), Image: testenv.DockerImage, Network: "none"})
	require.NoError(b, err)
	defer d.Close()
	for i := 0; b.Loop(); i++ {
		id := strconv.Itoa(i)
		require.NoError(b, d.Start(b.Context(), backend.Job{ID: id, Command: []string{"/bin/true"}, Dir: "/"}))
		_, err := d.Wait(b.Context(), id)
		require.NoError(b, err)
		b.StopTimer()
		require.NoError(b, d.Remove(b.Context(), id))
		b.StartTimer()
	}
}
