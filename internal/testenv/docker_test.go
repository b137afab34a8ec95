package testenv

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDockerRestarts has a container go on while its engine is killed and
// started anew.
func TestDockerRestarts(t *testing.T) {
	e := Docker(t)
	docker := func(args ...string) string {
		out, err := output(t.Context(), "docker", append([]string{"-H", e.Host}, args...)...)
		require.NoError(t, err)
		return strings.TrimSpace(out)
	}
	id := docker("run", "--detach", "--init", DockerImage, "sleep", "1000")
	e.Restart(t)
	require.Equal(t, "true", docker("inspect", "--format", "{{.State.Running}}", id))
	docker("rm", "-f", id)
}

// TestDockerIsEachOnesOwn has an engine start while another one is there, of which it
// knows nothing.
func TestDockerIsEachOnesOwn(t *testing.T) {
	first := Docker(t)
	second, stop, err := LaunchDocker(t.Context())
	require.NoError(t, err)
	defer stop()
	require.NotEqual(t, first.Host, second.Host)
	for _, e := range []*DockerEngine{first, second} {
		id, err := output(t.Context(), "docker", "-H", e.Host, "run", "--detach", "--init", "--network=none", DockerImage, "sleep", "1000")
		require.NoError(t, err)
		all, err := output(t.Context(), "docker", "-H", e.Host, "ps", "--quiet", "--no-trunc")
		require.NoError(t, err)
		require.Equal(t, strings.TrimSpace(id), strings.TrimSpace(all))
		_, err = output(t.Context(), "docker", "-H", e.Host, "rm", "-f", strings.TrimSpace(id))
		require.NoError(t, err)
	}
}

// TestDropDeadSocket removes a socket whose listener was killed, and no other.
func TestDropDeadSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "containerd.sock")
	require.NoError(t, dropDeadSocket(t.Context(), path), "there is none")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	require.NoError(t, err)
	require.NoError(t, dropDeadSocket(t.Context(), path))
	require.FileExists(t, path, "somebody listens")
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, l.Close())
	require.NoError(t, dropDeadSocket(t.Context(), path))
	require.NoFileExists(t, path)
}
