package docker_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/internal/testenv"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	engine := testenv.Docker(t)
	backendtest.Compute(t, func(t *testing.T) backendtest.ComputeHarness {
		dir := t.TempDir()
		require.NoError(t, os.Chmod(dir, 0o777))
		opts := options(t, engine)
		opts.Mounts = []docker.Mount{{Source: dir, Target: "/shared"}}
		return backendtest.ComputeHarness{
			Compute: open(t, opts),
			Dir:     "/shared",
			Image:   testenv.DockerImage,
			Limits:  true,
			Codes:   true,
			Alive:   func(t backendtest.TB, id string, pids []string) []string { return alive(t, opts, id, pids) },
			Reopen:  func() (backend.Compute, error) { return open(t, opts), nil },
			StartAndDie: func(t backendtest.TB, job backend.Job) error {
				return backendtest.StartAndDie(t, starter{Options: &opts}, job)
			},
		}
	})
}

// options are of a driver of the test's own.
func options(t *testing.T, engine *testenv.DockerEngine) docker.Options {
	return docker.Options{Host: engine.Host, Name: t.Name(), Dir: filepath.Join(t.TempDir(), "docker"), Image: testenv.DockerImage, Network: "none"}
}

// open gives a driver whose jobs end with the test.
func open(t *testing.T, opts docker.Options) *docker.Driver {
	d, err := docker.New(&opts)
	require.NoError(t, err)
	t.Cleanup(func() {
		for s, err := range d.List(context.Background()) {
			require.NoError(t, err)
			require.NoError(t, d.Cancel(context.Background(), s.ID, 0))
			require.NoError(t, d.Remove(context.Background(), s.ID))
		}
		require.NoError(t, d.Close())
	})
	return d
}

// alive gives those of the processes that are in the job's control group on this
// machine, by their numbers in the container.
func alive(t backendtest.TB, opts docker.Options, id string, pids []string) []string {
	out, err := exec.Command("docker", "-H", opts.Host, "ps", "-aq", "--no-trunc", "--filter", "label=azml.driver="+opts.Name, "--filter", "label=azml.job="+id).Output()
	require.NoError(t, err)
	container := strings.TrimSpace(string(out))
	require.NotEmpty(t, container)
	var left []string
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	require.NoError(t, err)
	for _, file := range groups {
		group, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(group), container) {
			continue // ended meanwhile, or another's
		}
		status, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "status"))
		_, numbers, _ := strings.Cut(string(status), "NSpid:")
		numbers, _, _ = strings.Cut(numbers, "\n")
		fields := strings.Fields(numbers)
		if len(fields) > 0 && slices.Contains(pids, fields[len(fields)-1]) {
			left = append(left, fields[len(fields)-1])
		}
	}
	return left
}
