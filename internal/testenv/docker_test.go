package testenv

import (
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
