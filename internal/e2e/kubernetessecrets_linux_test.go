package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
)

// nothingIn waits until nothing is left in a namespace.
func nothingIn(t *testing.T, cluster *testenv.KubernetesCluster, namespace string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return cluster.Kubectl(t, "", "get", "jobs,pods,secrets,services", "-n", namespace, "-o", "name") == ""
	}, 5*time.Minute, 200*time.Millisecond, "something is left")
}

// TestRunsOnKubernetesAreApart has a script try what it must not, and looks meanwhile for
// what the cluster shows of it.
func TestRunsOnKubernetesAreApart(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	on := onCluster(t)
	on.Namespace = ownNamespace(t, cluster)
	ws := newPlace(t).openFor(t)
	_, err := ws.Compute().Create(t.Context(), "k8s", on, nil)
	require.NoError(t, err)
	const secret = "s3cret-value-of-the-test"
	require.NoError(t, ws.Secrets().Set(t.Context(), "pass", secret))
	require.NoError(t, ws.Secrets().Set(t.Context(), "other", "another-"+secret))
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "targets", nil)
	require.NoError(t, err)
	other, err := exp.StartLogging(t.Context(), nil)
	require.NoError(t, err)
	r := target{compute: "k8s"}.begin(t, ws, "", func(c *experiment.ScriptRunConfig) {
		require.NoError(t, os.WriteFile(filepath.Join(c.Source, "pry.py"), []byte(prying), 0o600))
		c.Command, c.Secrets = []string{"sh", "-c", "ls /var/run/secrets/kubernetes.io 2>/dev/null; exec python3 pry.py"}, []string{"pass"}
		c.Variables = map[string]string{"PLACE": "/tmp", "OTHER": other.ID()}
	})
	hears(t, r, "begun\n")
	shown := cluster.Kubectl(t, "", "get", "jobs,pods,events", "-n", on.Namespace, "-o", "yaml")
	require.Contains(t, shown, recordOf(t, ws, r).Agent.Job)
	require.NotContains(t, shown, secret)
	require.Empty(t, cluster.Kubectl(t, "", "get", "secrets", "-n", on.Namespace, "-o", "name"), "the token's Secret is gone since the agent has it")
	pod := strings.TrimSpace(cluster.Kubectl(t, "", "get", "pods", "-n", on.Namespace, "-o", "jsonpath={.items[*].metadata.name}"))
	cluster.Kubectl(t, "", "exec", "-n", on.Namespace, pod, "--", "touch", "/tmp/go")
	require.NoError(t, r.Wait(t.Context(), nil))
	require.Equal(t, "own run 200\nother run 403\nno token 401\nsecret 200 ****\nother secret 404\nuser 65532\nbegun\n", outputOf(t, r))
	require.NoError(t, other.Complete(t.Context()))
	nothingIn(t, cluster, on.Namespace)
}

// TestSubmitterToKubernetesKilled kills the process that has submitted a run. Another one
// sees the run to its end, or cancels it while its pod waits for a node: in the end no
// Secret with a token is left, nor anything else.
func TestSubmitterToKubernetesKilled(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	file, err := programs()
	require.NoError(t, err)
	for name, nowhere := range map[string]bool{"while its pod waits": true, "while its script runs": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			on := onCluster(t)
			on.Namespace = ownNamespace(t, cluster)
			if nowhere {
				on.NodeSelector = map[string]string{"azml-test": "none"}
			}
			p := newPlace(t)
			ws := p.openFor(t)
			_, err := ws.Compute().Create(t.Context(), "k8s", on, nil)
			require.NoError(t, err)
			w := start(t, errand{Name: "submit", Place: p, Dir: shell(t, "echo begun; until [ -e /tmp/go ]; do sleep 0.1; done").Source, Program: file, Compute: "k8s"})
			var r *run.Run
			require.Eventually(t, func() bool {
				for r, err = range ws.Runs().List(t.Context(), nil) {
					require.NoError(t, err)
					return r.Status() == run.StatusRunning || nowhere && cluster.Kubectl(t, "", "get", "secrets", "-n", on.Namespace, "-o", "name") != ""
				}
				return false
			}, 5*time.Minute, 200*time.Millisecond)
			if !nowhere {
				hears(t, r, "begun\n")
			}
			require.NoError(t, w.cmd.Process.Kill())
			require.Error(t, w.cmd.Wait())
			if nowhere {
				require.NoError(t, r.Cancel(t.Context(), nil))
				require.ErrorIs(t, r.Wait(t.Context(), nil), azml.ErrCanceled)
			} else {
				pod := strings.TrimSpace(cluster.Kubectl(t, "", "get", "pods", "-n", on.Namespace, "-o", "jsonpath={.items[*].metadata.name}"))
				cluster.Kubectl(t, "", "exec", "-n", on.Namespace, pod, "--", "touch", "/tmp/go")
				require.NoError(t, r.Wait(t.Context(), nil))
				require.Equal(t, "begun\n", outputOf(t, r))
			}
			nothingIn(t, cluster, on.Namespace)
		})
	}
}
