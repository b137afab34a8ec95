package docker_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/internal/testenv"
)

// TestKind attaches an engine and opens it by what is stored.
func TestKind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source, err := docker.Config{Host: testenv.Docker(t).Host, Image: testenv.DockerImage, User: "1500", Network: "none", BuildNetwork: "host",
		Limits: backend.Limits{CPUs: 0.5, Memory: 64 << 20, SharedMemory: 1 << 20}, Mounts: []docker.Mount{{Source: dir, Target: "/data", ReadOnly: true}}}.Source()
	require.NoError(t, err)
	require.Equal(t, "Docker", source.Type)
	require.Empty(t, source.Credentials)
	require.Equal(t, "0.5", source.Connection["cpus"])
	source.CacheDir = t.TempDir()
	opened, err := docker.Kind{}.Open(t.Context(), source)
	require.NoError(t, err)
	defer opened.Close()
	require.NoError(t, opened.Check(t.Context()))
	s, out := finish(t, opened.(*docker.Driver), shell("a", "id -u; touch /data/x 2>&1 | grep -o Read-only; df -k --output=size /dev/shm | tail -1 | tr -d ' '"))
	require.Zero(t, s.ExitCode)
	require.Equal(t, "1500\nRead-only\n1024\n", out)

	other, err := docker.Kind{}.Open(t.Context(), source)
	require.NoError(t, err)
	defer other.Close()
	require.NoError(t, other.Remove(t.Context(), "a"), "the same source is the same target")

	for member, value := range map[string]string{"cpus": "many", "mounts": "{", "colour": "blue", "host": "nonsense"} {
		_, err := docker.Kind{}.Open(t.Context(), backend.ComputeSource{Connection: map[string]string{member: value}, CacheDir: t.TempDir()})
		require.ErrorIs(t, err, azml.ErrInvalid, member)
	}
	_, err = docker.Config{Limits: backend.Limits{Memory: -1}}.Source()
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = docker.Config{Mounts: []docker.Mount{{Source: "data", Target: "/data"}}}.Source()
	require.ErrorIs(t, err, azml.ErrInvalid)
}
