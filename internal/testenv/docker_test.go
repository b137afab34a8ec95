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
