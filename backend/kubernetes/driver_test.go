package kubernetes_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/kubernetes"
	"github.com/azml-go/azml/internal/testenv"
)

// TestConformance is done with no more rights than the manual's manifest gives.
func TestConformance(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	least := account(t, cluster)
	backendtest.Compute(t, func(t *testing.T) backendtest.ComputeHarness {
		dir := t.TempDir()
		require.NoError(t, os.Chmod(dir, 0o777))
		p := place(t, cluster)
		p.Kubeconfig, p.Target.PodPatch = least, hostFolder(dir)
		return backendtest.ComputeHarness{
			Compute: open(t, p),
			Dir:     "/shared",
			Image:   cluster.Image,
			Limits:  true,
			Grows:   true,
			Slow:    true,
			Nodes:   2,
			Alive:   func(t backendtest.TB, id string, pids []string) []string { return alive(t, cluster, p.Name, id, pids) },
			Reopen:  func() (backend.Compute, error) { return open(t, p), nil },
			StartAndDie: func(t backendtest.TB, job backend.Job) error {
				return backendtest.StartAndDie(t, p, job)
			},
		}
	})
}

// place gives a target of the test's own.
func place(t *testing.T, cluster *testenv.KubernetesCluster) placed {
	kubeconfig, err := os.ReadFile(cluster.Kubeconfig)
	require.NoError(t, err)
	program, err := runner()
	require.NoError(t, err)
	unpacker, err := kubernetes.Unpacker()
	require.NoError(t, err)
	return placed{Target: kubernetes.Target{Namespace: cluster.Namespace, Image: cluster.Image}, Kubeconfig: kubeconfig,
		Name: t.Name(), CacheDir: t.TempDir(), Program: program, Unpacker: unpacker}
}

// TestDelivered has pods get the program packed by the one who unpacks it there, and without
// that by what their image has. Either way it is what was sent, and alone.
func TestDelivered(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	broken := filepath.Join(t.TempDir(), "unpack")
	require.NoError(t, os.WriteFile(broken, []byte("#!/bin/sh\necho this is what unpacks >&2; exit 3\n"), 0o600))
	commands := t.TempDir()
	require.NoError(t, os.Chmod(commands, 0o755)) // jobs run as nobody
	for _, name := range []string{"cat", "chmod", "dd", "head", "ln", "mkdir", "mv", "rm", "sleep", "wc"} {
		require.NoError(t, os.Symlink("/bin/"+name, filepath.Join(commands, name)))
	}
	without := strings.Replace(hostFolder(commands), "{name: job,", "{name: job, env: [{name: PATH, value: /shared}],", 1)
	for name, c := range map[string]struct {
		change func(*placed)
		packed string
		fails  string
	}{
		"behind an unpacker":                {func(*placed) {}, ".zst", ""},
		"behind an unpacker that is broken": {func(p *placed) { p.Unpacker = broken }, ".zst", "this is what unpacks"},
		"without one":                       {func(p *placed) { p.Unpacker = "" }, ".gz", ""},
		"without one, nor gzip":             {func(p *placed) { p.Unpacker, p.Target.PodPatch = "", without }, ".gz", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := place(t, cluster)
			c.change(&p)
			d := open(t, p)
			job := shell("a", "cd /run/azml/bin && ls -A | wc -l && sha256sum azml-*")
			if c.fails != "" {
				err := d.Start(t.Context(), job)
				require.ErrorIs(t, err, azml.ErrFailed)
				require.ErrorContains(t, err, c.fails)
			} else {
				program, err := os.ReadFile(p.Program)
				require.NoError(t, err)
				_, said := finish(t, d, job)
				require.Regexp(t, fmt.Sprintf(`^2\n%x  `, sha256.Sum256(program)), said, "the program and its other name alone")
			}
			packed, err := filepath.Glob(filepath.Join(p.CacheDir, "packed", "*"))
			require.NoError(t, err)
			require.Len(t, packed, 1)
			require.Equal(t, c.packed, filepath.Ext(packed[0]))
		})
	}
}

// hostFolder has pods see a folder of this machine, which is that of the node.
func hostFolder(dir string) string {
	return `
spec:
  volumes: [{name: shared, hostPath: {path: ` + dir + `}}]
  containers: [{name: job, volumeMounts: [{name: shared, mountPath: /shared}]}]`
}

// open gives a driver whose jobs end with the test.
func open(t *testing.T, p placed) *kubernetes.Driver {
	d, err := p.driver()
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

// alive gives those of the processes that are in the control group of the job's pod
// on this machine, by their numbers in the container.
func alive(t backendtest.TB, cluster *testenv.KubernetesCluster, driver, id string, pids []string) []string {
	out, err := cluster.Run(t.Context(), "", "get", "pods", "-l", fmt.Sprintf("azml/driver=%.12x", sha256.Sum256([]byte(driver))), "-o", `jsonpath={range .items[*]}{.metadata.annotations.azml/job} {.metadata.uid}{"\n"}{end}`)
	require.NoError(t, err)
	var left []string
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	require.NoError(t, err)
	for line := range strings.Lines(out) {
		job, pod, _ := strings.Cut(strings.TrimSpace(line), " ")
		if job != id {
			continue
		}
		for _, file := range groups {
			group, err := os.ReadFile(file)
			if err != nil || !strings.Contains(string(group), pod) {
				continue // ended meanwhile, or another's
			}
			status, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "status"))
			_, numbers, _ := strings.Cut(string(status), "NSpid:")
			numbers, _, _ = strings.Cut(numbers, "\n")
			if fields := strings.Fields(numbers); len(fields) > 0 && slices.Contains(pids, fields[len(fields)-1]) {
				left = append(left, fields[len(fields)-1])
			}
		}
	}
	return left
}
