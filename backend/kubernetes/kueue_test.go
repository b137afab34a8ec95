package kubernetes_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/kubernetes"
	"github.com/azml-go/azml/internal/testenv"
)

// TestKueue has Kueue itself admit jobs, of whoever has the rights of the manual and no
// others. Each pod takes a tenth of a processor of a queue.
func TestKueue(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kueue(t)
	p := place(t, cluster)
	p.Kubeconfig = account(t, cluster)
	p.Target.Requests = map[string]string{"cpu": "100m"}
	cluster.Kubectl(t, `{"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "ResourceFlavor", "metadata": {"name": "default"}}`, "apply", "-f", "-")
	t.Run("one after the other", func(t *testing.T) {
		t.Parallel()
		oneByOne(t, cluster, inQueue(t, cluster, p, "narrow", "100m"))
	})
	t.Run("all nodes or none", func(t *testing.T) {
		t.Parallel()
		gang(t, cluster, inQueue(t, cluster, p, "wide", "200m"))
	})
	t.Run("a place taken back", func(t *testing.T) {
		t.Parallel()
		takenBack(t, cluster, inQueue(t, cluster, p, "fickle", "100m"))
	})
	inQueue(t, cluster, p, "ample", "1000m")
	for name, c := range map[string]struct{ queue, has string }{
		"never admitted":    {"nowhere", "workload"},
		"admitted, no node": {"ample", "pod"},
	} {
		t.Run("cancelled, "+name, func(t *testing.T) {
			t.Parallel()
			cancelledInQueue(t, cluster, c.queue, c.has)
		})
	}
}

// inQueue makes a queue with so many processors.
func inQueue(t *testing.T, cluster *testenv.KubernetesCluster, p placed, name, cpus string) placed {
	t.Helper()
	cluster.Kubectl(t, fmt.Sprintf(`
apiVersion: kueue.x-k8s.io/v1beta2
kind: ClusterQueue
metadata: {name: %[1]s}
spec:
  namespaceSelector: {}
  resourceGroups: [{coveredResources: [cpu], flavors: [{name: default, resources: [{name: cpu, nominalQuota: %[2]s}]}]}]
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: LocalQueue
metadata: {name: %[1]s}
spec: {clusterQueue: %[1]s}
`, name, cpus), "apply", "-f", "-")
	p.Target.Queue, p.Name = name, t.Name()
	return p
}

// untilTold is a job that ends when it is told to.
func untilTold(id string) backend.Job {
	return shell(id, "echo ready; until [ -e /tmp/go ]; do sleep 0.1; done")
}

// tell tells a job to end.
func tell(t *testing.T, cluster *testenv.KubernetesCluster, id string) {
	t.Helper()
	pod := strings.TrimSpace(cluster.Kubectl(t, "", "get", "pods", "-o", fmt.Sprintf(`jsonpath={.items[?(@.metadata.annotations.azml/job==%q)].metadata.name}`, id)))
	cluster.Kubectl(t, "", "exec", pod, "--", "touch", "/tmp/go")
}

// waiting starts a job, and returns when it is told that its queue has no room for it; it
// has no pod then.
func waiting(t *testing.T, cluster *testenv.KubernetesCluster, d *kubernetes.Driver, job backend.Job) (started <-chan error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- d.Start(t.Context(), job) }()
	var s backend.JobStatus
	require.Eventually(t, func() (told bool) {
		var err error
		s, err = d.Status(t.Context(), job.ID)
		return err == nil && strings.Contains(s.Reason, ": ")
	}, 5*time.Minute, 100*time.Millisecond, "what it waits for is told")
	require.Equal(t, backend.JobRunning, s.State)
	require.True(t, s.WaitsForRoom)
	require.Regexp(t, "^it waits for the queue (narrow|wide): .*insufficient unused quota for cpu in flavor default", s.Reason)
	require.Empty(t, cluster.Kubectl(t, "", "get", "pods", "-o", fmt.Sprintf(`jsonpath={.items[?(@.metadata.annotations.azml/job==%q)].metadata.name}`, job.ID)))
	return done
}

func oneByOne(t *testing.T, cluster *testenv.KubernetesCluster, p placed) {
	d := open(t, p)
	require.NoError(t, d.Start(t.Context(), untilTold("first")))
	second := waiting(t, cluster, d, untilTold("second"))
	third := waiting(t, cluster, d, untilTold("third"))
	name := strings.TrimSpace(cluster.Kubectl(t, "", "get", "jobs", "-o", `jsonpath={.items[?(@.metadata.annotations.azml/job=="third")].metadata.name}`))
	require.NotEmpty(t, name)
	require.Contains(t, cluster.Kubectl(t, "", "get", "secrets,workloads", "-o", "name"), name)
	require.NoError(t, d.Cancel(t.Context(), "third", time.Second))
	require.ErrorIs(t, <-third, azml.ErrFailed)
	require.Eventually(t, func() bool {
		return !strings.Contains(cluster.Kubectl(t, "", "get", "jobs,pods,secrets,services,workloads", "-o", "name"), name)
	}, 5*time.Minute, 100*time.Millisecond, "something is left")
	select {
	case err := <-second:
		require.Fail(t, "it was not admitted yet", "%v", err)
	default:
	}

	tell(t, cluster, "first")
	require.NoError(t, <-second)
	tell(t, cluster, "second")
	for _, id := range []string{"first", "second"} {
		s, err := d.Wait(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, backend.JobExited, s.State, s.Reason)
		require.Zero(t, s.ExitCode)
	}
}

// gang has a job of two nodes wait while there is room for one.
func gang(t *testing.T, cluster *testenv.KubernetesCluster, p placed) {
	d := open(t, p)
	require.NoError(t, d.Start(t.Context(), untilTold("alone")))
	both := shell("both", "echo in")
	both.Nodes = 2
	started := waiting(t, cluster, d, both)
	tell(t, cluster, "alone")
	require.NoError(t, <-started)
	s, err := d.Wait(t.Context(), "both")
	require.NoError(t, err)
	require.Equal(t, backend.JobExited, s.State, s.Reason)
}

// takenBack has a queue take back the place of a job that runs, and give it anew.
func takenBack(t *testing.T, cluster *testenv.KubernetesCluster, p placed) {
	d := open(t, p)
	require.NoError(t, d.Start(t.Context(), untilTold("taken")))
	stop := func(policy string) {
		cluster.Kubectl(t, "", "patch", "clusterqueue", p.Target.Queue, "--type=merge", "-p", fmt.Sprintf(`{"spec": {"stopPolicy": %q}}`, policy))
	}
	pods := func() string {
		return cluster.Kubectl(t, "", "get", "pods", "-o", `jsonpath={.items[?(@.metadata.annotations.azml/job=="taken")].metadata.uid}`)
	}
	first := pods()
	stop("HoldAndDrain")
	s, err := d.Wait(t.Context(), "taken")
	require.NoError(t, err)
	require.Contains(t, []backend.JobState{backend.JobKilled, backend.JobLost}, s.State) // its pod is gone soon after its end
	require.Eventually(t, func() bool { return pods() == "" }, 5*time.Minute, 100*time.Millisecond)
	stop("None")
	require.Eventually(t, func() bool { return pods() != "" && pods() != first }, 5*time.Minute, 100*time.Millisecond, "it has a place again")
	s, err = d.Wait(t.Context(), "taken")
	require.NoError(t, err)
	require.Equal(t, backend.JobLost, s.State, "it runs no second time")
	require.NoError(t, d.Remove(t.Context(), "taken"))
	require.Eventually(t, func() bool { return pods() == "" }, 5*time.Minute, 100*time.Millisecond)
}

// cancelledInQueue cancels a job that waits, as soon as the cluster has what it comes to.
// Its starter was killed, and nobody removes it.
func cancelledInQueue(t *testing.T, cluster *testenv.KubernetesCluster, queue, has string) {
	p, d := apart(t, cluster, 20*time.Minute, func(t *kubernetes.Target) {
		t.Queue, t.NodeSelector = queue, map[string]string{"azml-test": "none"}
	})
	cluster.Kubectl(t, `{"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "LocalQueue", "metadata": {"name": "ample"}, "spec": {"clusterQueue": "ample"}}`,
		"apply", "-n", p.Target.Namespace, "-f", "-")
	job := shell("a", "true")
	job.Nodes = 2
	killAfter(t, p, job, "POST services")
	left := func() string {
		return cluster.Kubectl(t, "", "get", "jobs,pods,secrets,services,workloads", "-n", p.Target.Namespace, "-o", "name")
	}
	require.Eventually(t, func() bool { return strings.Contains(left(), has+"/") || strings.Contains(left(), has+".") }, 5*time.Minute, 100*time.Millisecond)
	require.NoError(t, d.Cancel(t.Context(), "a", time.Second))
	_, err := d.Status(t.Context(), "a")
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.Eventually(t, func() bool { return left() == "" }, 5*time.Minute, 100*time.Millisecond, "something is left")
}
