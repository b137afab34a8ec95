package kubernetes_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/kubernetes"
	"github.com/azml-go/azml/internal/testenv"
)

// TestConformance is done with no more rights than the manual's manifest gives, and by the
// way that clusters on other machines are reached; other tests go that to one on this machine.
func TestConformance(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	least := far(t, account(t, cluster))
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

// far gives a kubeconfig by which the cluster does not seem to be on this machine.
func far(t *testing.T, kubeconfig []byte) []byte {
	found := regexp.MustCompile(`(\s+)server: https://127.0.0.1:(\d+)`)
	require.Regexp(t, found, string(kubeconfig))
	return found.ReplaceAll(kubeconfig, []byte("${1}server: https://0.0.0.0:$2${1}tls-server-name: localhost"))
}

// place gives a target of the test's own.
func place(t *testing.T, cluster *testenv.KubernetesCluster) placed {
	kubeconfig, err := os.ReadFile(cluster.Kubeconfig)
	require.NoError(t, err)
	program, err := runner()
	require.NoError(t, err)
	return placed{Target: kubernetes.Target{Namespace: cluster.Namespace, Image: cluster.Image}, Kubeconfig: kubeconfig,
		Name: t.Name(), CacheDir: t.TempDir(), Program: program}
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
