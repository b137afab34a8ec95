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
	require.Empty(t, cluster.Kubectl(t, "", "get", "secrets", "-n", on.Namespace, "-o", "jsonpath={.items[*].data}"), "the token's Secret is empty since the agent has it")
	pod := strings.TrimSpace(cluster.Kubectl(t, "", "get", "pods", "-n", on.Namespace, "-o", "jsonpath={.items[*].metadata.name}"))
	cluster.Kubectl(t, "", "exec", "-n", on.Namespace, pod, "--", "touch", "/tmp/go")
	require.NoError(t, r.Wait(t.Context(), nil))
	require.Equal(t, "own run 200\nother run 403\nno token 401\nsecret 200 ****\nother secret 404\nuser 65532\nbegun\n", outputOf(t, r))
	require.NoError(t, other.Complete(t.Context()))
	nothingIn(t, cluster, on.Namespace)
}

// TestSubmitterToKubernetesKilledEarly kills the process that submits a run while that
// waits for a node: the run has Failed with the reason once somebody looks, and nothing is
// left of it when the time of its Job is over.
func TestSubmitterToKubernetesKilledEarly(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	on := onCluster(t)
	on.Namespace, on.NodeSelector = ownNamespace(t, cluster), map[string]string{"azml-test": "none"}
	p := newPlace(t)
	ws := p.openFor(t)
	_, err := ws.Compute().Create(t.Context(), "k8s", on, nil)
	require.NoError(t, err)
	file, err := programs()
	require.NoError(t, err)
	w := start(t, errand{Name: "submit", Place: p, Dir: shell(t, "true").Source, Program: file, Compute: "k8s"})
	defer func() { _ = w.cmd.Process.Kill() }()
	var r *run.Run
	require.Eventually(t, func() bool {
		for found, err := range ws.Runs().List(t.Context(), nil) {
			if err == nil && strings.Contains(found.Details().WaitsFor, "0/1 nodes are available") {
				r = found
			}
		}
		return r != nil
	}, 5*time.Minute, 200*time.Millisecond, "it waits for a node")
	require.NoError(t, w.cmd.Process.Kill())
	require.Error(t, w.cmd.Wait())
	job := strings.TrimSpace(cluster.Kubectl(t, "", "get", "jobs", "-n", on.Namespace, "-o", "jsonpath={.items[*].metadata.name}"))
	limits := strings.Fields(cluster.Kubectl(t, "", "get", "jobs", job, "-n", on.Namespace, "-o", "jsonpath={.spec.activeDeadlineSeconds} {.spec.ttlSecondsAfterFinished}"))
	require.Len(t, limits, 2, "both are there, of minutes")
	cluster.Kubectl(t, "", "patch", "job", job, "-n", on.Namespace, "--type=merge", "-p", `{"spec": {"activeDeadlineSeconds": 1, "ttlSecondsAfterFinished": 1}}`) // as if they had passed
	require.ErrorIs(t, r.Wait(t.Context(), nil), azml.ErrFailed)
	require.Regexp(t, "ended without finishing it|the starting process died before the command ran", r.Details().Reason)
	nothingIn(t, cluster, on.Namespace)
}

// TestSubmitterToKubernetesKilled kills the process that has submitted a run: another one
// sees the run to its end, and no Secret with a token is left, nor anything else.
func TestSubmitterToKubernetesKilled(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	on := onCluster(t)
	on.Namespace = ownNamespace(t, cluster)
	p := newPlace(t)
	ws := p.openFor(t)
	_, err := ws.Compute().Create(t.Context(), "k8s", on, nil)
	require.NoError(t, err)
	r, w := target{compute: "k8s"}.submitElsewhere(t, ws, p, &site{}, "echo begun; until [ -e /tmp/go ]; do sleep 0.1; done")
	hears(t, r, "begun\n")
	require.NoError(t, w.cmd.Process.Kill())
	require.Error(t, w.cmd.Wait())
	pod := strings.TrimSpace(cluster.Kubectl(t, "", "get", "pods", "-n", on.Namespace, "-o", "jsonpath={.items[*].metadata.name}"))
	cluster.Kubectl(t, "", "exec", "-n", on.Namespace, pod, "--", "touch", "/tmp/go")
	require.NoError(t, r.Wait(t.Context(), nil))
	require.Equal(t, "begun\n", outputOf(t, r))
	nothingIn(t, cluster, on.Namespace)
}
