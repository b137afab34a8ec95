//go:build linux

package scheduler_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// output reads what the script has printed.
func output(t *testing.T, r *run.Run) string {
	t.Helper()
	require.NoError(t, r.Wait(t.Context(), nil))
	var said []byte
	log, err := r.Logs(t.Context(), &run.LogsOptions{Name: "user_logs/std_log.txt"})
	require.NoError(t, err)
	defer log.Close()
	for buffer := make([]byte, 1<<10); ; {
		n, err := log.Read(buffer)
		said = append(said, buffer[:n]...)
		if err != nil {
			return string(said)
		}
	}
}

// TestContainerOfBefore has runs that get the container of the one before, and runs that
// must not.
func TestContainerOfBefore(t *testing.T) {
	t.Parallel()
	engine := testenv.Docker(t)
	dir := t.TempDir()
	file, err := azml()
	require.NoError(t, err)
	ws, err := workspace.Open(t.Context(), filepath.Join(dir, "ws"), &workspace.OpenOptions{CacheDir: filepath.Join(dir, "cache"), SecretsKeyFile: filepath.Join(dir, "key"),
		Computes: []backend.ComputeDriver{docker.Kind{}}, Program: file})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		require.NoError(t, ws.Close(ctx))
	})
	_, err = ws.Compute().Create(t.Context(), "box", docker.Config{Host: engine.Host, Image: testenv.DockerImage, BuildNetwork: "host", Network: "none"}, nil)
	require.NoError(t, err)
	_, err = ws.Compute().Create(t.Context(), "pool", compute.Cluster{Members: []compute.Member{{Target: "box"}}}, nil)
	require.NoError(t, err)
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "churn", nil)
	require.NoError(t, err)

	const where = "cat /proc/sys/kernel/hostname; ls -A /tmp /var/tmp /dev/shm; "
	// The next run is alike unless something says otherwise.
	scripts := []string{where, where, where + "exit 3", where, where + "echo >/tmp/trace", where, where + "echo >/dev/shm/trace", where}
	source := t.TempDir()
	each := func(yield func(experiment.Variation) bool) {
		for _, script := range scripts {
			if !yield(experiment.Variation{Command: []string{"/bin/sh", "-c", script}}) {
				return
			}
		}
	}
	var runs []*run.Run
	for r, err := range exp.SubmitEach(t.Context(), experiment.ScriptRunConfig{Source: source, Command: []string{"true"}, Compute: "pool"}, each, nil) {
		require.NoError(t, err)
		runs = append(runs, r)
	}
	// Waits behind them, on the same node, with more memory.
	config := experiment.ScriptRunConfig{Source: source, Command: []string{"/bin/sh", "-c", where}, Compute: "pool", Limits: backend.Limits{Memory: 200 << 20}}
	limited, err := exp.Submit(t.Context(), config, nil)
	require.NoError(t, err)
	schedule(t, ws)
	var in []string
	for i, r := range runs {
		if i == 2 {
			require.Error(t, r.Wait(t.Context(), nil))
			in = append(in, "")
			continue
		}
		in = append(in, output(t, r))
	}
	in = append(in, output(t, limited))
	require.Equal(t, in[0], in[1], "it has the container of the one before")
	for i, why := range map[int]string{3: "the one before has failed", 5: "has left a file", 7: "has left a file in memory", 8: "was alike, but for its limit"} {
		require.False(t, slices.Contains(in[:i], in[i]), "%s: %q is not to be among %q", why, in[i], in[:i])
	}
	require.Equal(t, in[3], in[4])
	require.Equal(t, in[5], in[6])
	for _, said := range in {
		require.NotContains(t, said, "trace")
	}
	// Nothing stays when no run comes.
	c, err := client.New(client.WithHost(engine.Host))
	require.NoError(t, err)
	defer c.Close()
	require.Eventually(t, func() bool {
		left, err := c.ContainerList(t.Context(), client.ContainerListOptions{All: true})
		return err == nil && len(left.Items) == 0
	}, soon, 100*time.Millisecond)
}
