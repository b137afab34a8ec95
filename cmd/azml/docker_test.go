package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/internal/testenv"
)

// TestDocker attaches a real engine and makes an environment an image there.
func TestDocker(t *testing.T) {
	t.Parallel()
	engine := testenv.Docker(t)
	s := setup(t)
	require.Contains(t, s.fails(t, exitError, "compute", "attach", "docker", "nowhere", "--host", "unix:///no/such/engine"), "no Docker engine answers")
	s.fails(t, exitError, "compute", "show", "nowhere")
	for _, flags := range [][]string{{"--memory", "much"}, {"--gpus", "some"}, {"--mount", "/data"}, {"--shm-size", "-1g"}} {
		s.fails(t, exitUsage, append([]string{"compute", "attach", "docker", "box"}, flags...)...)
	}
	require.Equal(t, "box", s.ok(t, "compute", "attach", "docker", "box", "--host", engine.Host, "--image", testenv.DockerImage, "--network", "none",
		"--build-network", "host", "--memory", "512m", "--cpus", "0.5", "--tag", "team=risk"))
	var d compute.Details
	s.json(t, &d, "compute", "show", "box")
	require.Equal(t, compute.Type("Docker"), d.Type)

	requirements := filepath.Join(t.TempDir(), "requirements.txt")
	require.NoError(t, os.WriteFile(requirements, []byte("iniconfig==2.0.0\n"), 0o600))
	require.Equal(t, "e:1", s.ok(t, "environment", "register", "--name", "e", "-r", requirements, "--image", testenv.DockerImage))
	require.Contains(t, s.ok(t, "environment", "show", "e"), testenv.DockerImage)
	require.Contains(t, s.fails(t, exitError, "environment", "build", "e"), "name a compute target that does")
	require.Contains(t, s.ok(t, "environment", "explain", "e", "--compute", "box"), "it has to be made")
	var b environment.Built
	s.json(t, &b, "environment", "build", "e", "--compute", "box")
	require.Equal(t, environment.FormImage, b.Form)
	require.False(t, b.Reused)
	require.Contains(t, s.ok(t, "environment", "build", "e:1", "--compute", "box"), "was there already")
	require.Contains(t, s.ok(t, "environment", "explain", "e", "--compute", "box"), "it is reused")
	require.Contains(t, s.ok(t, "environment", "prune", "--unused", "1ns", "--compute", "box"), b.Place)
	require.Contains(t, s.ok(t, "environment", "explain", "e", "--compute", "box"), "it has to be made")
	s.fails(t, exitUsage, "environment", "build")
	s.fails(t, exitUsage, "environment", "prune", "--unused", "0")
}
