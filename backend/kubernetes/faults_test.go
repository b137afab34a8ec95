package kubernetes_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/kubernetes"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

func shell(id, script string) backend.Job {
	return backend.Job{ID: id, Command: []string{"/bin/sh", "-c", script}, Dir: "/tmp", Env: map[string]string{"PATH": "/usr/bin:/bin", "TOKEN": "s3cret-value"}}
}

// read reads a line of the job's output, once it is there.
func read(t *testing.T, d *kubernetes.Driver, id, want string) io.ReadCloser {
	r, err := d.Output(t.Context(), id, &backend.OutputOptions{Follow: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	got := make([]byte, len(want))
	_, err = io.ReadFull(r, got)
	require.NoError(t, err)
	require.Equal(t, want, string(got))
	return r
}

// TestOutages are of a cluster that the test has for itself.
func TestOutages(t *testing.T) {
	t.Parallel()
	cluster := testenv.KubernetesAlone(t)
	t.Run("taint and room", func(t *testing.T) { roomTaken(t, cluster) })
	t.Run("API server", func(t *testing.T) { serverKilled(t, cluster) })
	t.Run("kubelet", func(t *testing.T) { kubeletKilled(t, cluster) })
}

// roomTaken has the node taken by those that put up with its taint, and its one GPU by the
// job of the highest priority.
func roomTaken(t *testing.T, cluster *testenv.KubernetesCluster) {
	cluster.Kubectl(t, "", "taint", "node", "node", "azml-test=yes:NoSchedule")
	t.Cleanup(func() { // for the tests that follow in this cluster
		_, _ = cluster.Run(context.Background(), "", "taint", "node", "node", "azml-test-")
	})
	cluster.Kubectl(t, "", "patch", "node", "node", "--subresource=status", "--type=json", "-p", `[{"op": "add", "path": "/status/capacity/nvidia.com~1gpu", "value": "1"}]`)
	cluster.Kubectl(t, "", "create", "priorityclass", "high", "--value=1000")
	t.Cleanup(func() { _, _ = cluster.Run(context.Background(), "", "delete", "priorityclass", "high") })
	p := place(t, cluster)
	untolerated := open(t, p)
	refused := make(chan error, 1)
	go func() { refused <- untolerated.Start(t.Context(), shell("none", "true")) }()
	p.Target.Tolerations = []corev1.Toleration{{Key: "azml-test", Operator: corev1.TolerationOpEqual, Value: "yes"}}
	p.Target.Limits.GPUs = 1
	low := open(t, p)
	require.NoError(t, low.Start(t.Context(), shell("low", "trap 'echo saved; exit 3' TERM; echo ready; while :; do sleep 0.05; done")))
	r := read(t, low, "low", "ready\n")
	p.Target.PriorityClass = "high"
	high := open(t, p)
	require.NoError(t, high.Start(t.Context(), shell("high", "true")))
	rest, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Contains(t, string(rest), "saved\n")
	s, err := low.Wait(t.Context(), "low")
	require.NoError(t, err)
	require.Contains(t, []backend.JobState{backend.JobKilled, backend.JobLost}, s.State) // its pod is gone soon after its end
	require.Regexp(t, "PreemptionByScheduler|DisruptionTarget", s.Reason)
	s, err = high.Wait(t.Context(), "high")
	require.NoError(t, err)
	require.Equal(t, backend.JobExited, s.State, s.Reason)

	s, err = untolerated.Status(t.Context(), "none")
	require.NoError(t, err)
	require.Contains(t, s.Reason, "untolerated taint")
	require.NoError(t, untolerated.Cancel(t.Context(), "none", time.Minute))
	require.ErrorIs(t, <-refused, azml.ErrFailed)
}

// serverKilled kills the API server while jobs run and while one is started, and
// brings it back.
func serverKilled(t *testing.T, cluster *testenv.KubernetesCluster) {
	d := open(t, place(t, cluster))
	require.NoError(t, d.Start(t.Context(), shell("a", "echo first; until [ -e /tmp/go ]; do sleep 0.1; done; echo second; exit 5")))
	r := read(t, d, "a", "first\n")
	waited := make(chan backend.JobStatus, 1)
	go func() {
		s, err := d.Wait(context.WithoutCancel(t.Context()), "a")
		if err != nil {
			t.Errorf("wait: %v", err)
		}
		waited <- s
	}()
	started := make(chan error, 1)
	go func() { started <- d.Start(context.WithoutCancel(t.Context()), shell("b", "echo b; sleep 1000")) }()
	time.Sleep(500 * time.Millisecond) // anything may have happened of the start
	cluster.Crash(t, "kube-apiserver")
	_, err := d.Status(t.Context(), "a")
	require.ErrorIs(t, err, azml.ErrUnavailable)
	cluster.Mend(t)
	pod := strings.TrimSpace(cluster.Kubectl(t, "", "get", "pods", "-o", `jsonpath={.items[?(@.metadata.annotations.azml/job=="a")].metadata.name}`))
	cluster.Kubectl(t, "", "exec", pod, "--", "touch", "/tmp/go")
	rest, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "second\n", string(rest))
	s := <-waited
	require.Equal(t, backend.JobExited, s.State)
	require.Equal(t, 5, s.ExitCode)
	if err := <-started; err != nil { // then nothing is left of it
		_, none := d.Status(t.Context(), "b")
		require.ErrorIs(t, none, azml.ErrNotFound, "start: %v", err)
	} else {
		read(t, d, "b", "b\n")
	}
}

// kubeletKilled kills the kubelet while a job ends of which it would have told, and
// brings it back; and then has the node gone for good, as who looks after machines says.
func kubeletKilled(t *testing.T, cluster *testenv.KubernetesCluster) {
	p := place(t, cluster)
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o777))
	p.Target.PodPatch = hostFolder(dir)
	d := open(t, p)
	for _, id := range []string{"ends", "later", "stays"} {
		require.NoError(t, d.Start(t.Context(), shell(id, "echo "+id+"; until [ -e /shared/"+id+" ]; do sleep 0.1; done; exit 5")))
		require.NoError(t, read(t, d, id, id+"\n").Close())
	}
	cluster.Crash(t, "kubelet")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ends"), nil, 0o600))
	s, err := d.Status(t.Context(), "ends")
	require.NoError(t, err)
	require.Equal(t, backend.JobRunning, s.State, "nobody has told yet")
	cluster.Mend(t)
	mended := time.Now()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "later"), nil, 0o600))
	for _, id := range []string{"ends", "later"} {
		s, err = d.Wait(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, backend.JobExited, s.State, s.Reason)
		require.Equal(t, 5, s.ExitCode)
	}
	said := cluster.Kubectl(t, "", "get", "events", "--field-selector=reason=FailedMount", "-o", `jsonpath={range .items[*]}{.lastTimestamp} {.message}{"\n"}{end}`)
	for line := range strings.Lines(said) {
		last, what, _ := strings.Cut(line, " ")
		at, err := time.Parse(time.RFC3339, last)
		require.NoError(t, err)
		require.False(t, at.After(mended) && strings.Contains(what, "not found"), "the new kubelet finds all that its pods have mounted: %s", said)
	}

	cluster.Crash(t, "kubelet")
	cluster.Kubectl(t, "", "delete", "node", "node")
	s, err = d.Wait(t.Context(), "stays")
	require.NoError(t, err)
	require.Equal(t, backend.JobLost, s.State)
	require.Regexp(t, "node no longer exists|its pod is gone", s.Reason) // the pod is there for a moment, and says more
	require.NoError(t, d.Remove(t.Context(), "stays"))
	cluster.Mend(t)
}

// TestDisruptions are what a cluster does to pods.
func TestDisruptions(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	d := open(t, place(t, cluster))
	for name, c := range map[string]struct {
		job    backend.Job
		do     func(t *testing.T, pod string)
		state  backend.JobState
		reason string
		said   string
	}{
		"evicted": {shell("evicted", "trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.05; done"), func(t *testing.T, pod string) {
			cluster.Kubectl(t, fmt.Sprintf(`{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": %q, "namespace": %q}}`, pod, cluster.Namespace),
				"create", "--raw", "/api/v1/namespaces/"+cluster.Namespace+"/pods/"+pod+"/eviction", "-f", "-")
		}, backend.JobKilled, "EvictionByEvictionAPI", "saved\n"},
		"deleted by force": {shell("deleted", "echo ready; sleep 1000"), func(t *testing.T, pod string) {
			cluster.Kubectl(t, "", "delete", "pod", pod, "--force", "--grace-period=0")
		}, backend.JobLost, "its pod is gone", ""},
		"out of memory": {backend.Job{ID: "hungry", Limits: backend.Limits{Memory: 96 << 20}, Dir: "/", Env: map[string]string{"PATH": "/usr/bin:/bin"},
			Command: []string{"python3", "-c", "print('ready', flush=True); x = bytearray(1 << 30)"}}, nil, backend.JobKilled, "it ran out of memory: its limit was 96Mi", ""},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, d.Start(t.Context(), c.job))
			if c.do != nil {
				r := read(t, d, c.job.ID, "ready\n")
				c.do(t, strings.TrimSpace(cluster.Kubectl(t, "", "get", "pods", "-o", fmt.Sprintf(`jsonpath={.items[?(@.metadata.annotations.azml/job==%q)].metadata.name}`, c.job.ID))))
				rest, err := io.ReadAll(r)
				require.NoError(t, err)
				require.Contains(t, string(rest), c.said) // the shell may say more
			}
			s, err := d.Wait(t.Context(), c.job.ID)
			require.NoError(t, err)
			require.Equal(t, c.state, s.State, s.Reason)
			require.Contains(t, s.Reason, c.reason)
		})
	}
}

// apartFromEachOther has no two pods of a job on one node.
const apartFromEachOther = `{metadata: {labels: {azml-test: apart}}, spec: {affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [
  {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {azml-test: apart}}}]}}}}`

// withQuota makes a namespace for so many pods.
func withQuota(t *testing.T, cluster *testenv.KubernetesCluster, name, pods string) (namespace string) {
	t.Helper()
	namespace = cluster.Namespace + "-" + name
	cluster.Kubectl(t, "", "create", "namespace", namespace)
	t.Cleanup(func() { _, _ = cluster.Run(context.Background(), "", "delete", "namespace", namespace, "--wait=false") })
	cluster.Kubectl(t, "", "wait", "--for=create", "serviceaccount/default", "-n", namespace, "--timeout=60s")
	cluster.Kubectl(t, "", "create", "quota", name, "--hard=pods="+pods, "-n", namespace)
	return namespace
}

// TestWaiting are jobs that the cluster can't run yet: it is told why, and they can be
// cancelled.
func TestWaiting(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	none, one := withQuota(t, cluster, "none", "0"), withQuota(t, cluster, "one", "1")
	for name, c := range map[string]struct {
		nodes  int
		change func(*kubernetes.Target)
		reason string
	}{
		"no node":             {1, func(t *kubernetes.Target) { t.NodeSelector = map[string]string{"azml-test": "none"} }, "0/1 nodes are available"},
		"no room":             {1, func(t *kubernetes.Target) { t.Requests = map[string]string{"memory": "100Ti"} }, "Insufficient memory"},
		"no quota":            {1, func(t *kubernetes.Target) { t.Namespace = none }, "exceeded quota: none"},
		"quota for one pod":   {2, func(t *kubernetes.Target) { t.Namespace = one }, "exceeded quota: one"},
		"room for one of two": {2, func(t *kubernetes.Target) { t.PodPatch = apartFromEachOther }, "anti-affinity"},
		"queue":               {1, func(t *kubernetes.Target) { t.Queue = "team-a" }, "it waits for the queue team-a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := place(t, cluster)
			c.change(&p.Target)
			d, other := open(t, p), open(t, p)
			started := make(chan error, 1)
			job := shell("a", "true")
			job.Nodes = c.nodes
			go func() { started <- d.Start(t.Context(), job) }()
			var s backend.JobStatus
			require.Eventually(t, func() (told bool) {
				var err error
				s, err = other.Status(t.Context(), "a")
				return err == nil && strings.Contains(s.Reason, c.reason)
			}, 5*time.Minute, 100*time.Millisecond, "what it waits for is told")
			require.Equal(t, backend.JobRunning, s.State)
			require.True(t, s.WaitsForRoom)
			require.NoError(t, other.Cancel(t.Context(), "a", time.Minute))
			require.ErrorIs(t, <-started, azml.ErrFailed)
			_, err := d.Status(t.Context(), "a")
			require.ErrorIs(t, err, azml.ErrNotFound, "nothing is left")
		})
	}
}

// TestAdmitted lets a job out of its queue, as Kueue does.
func TestAdmitted(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	p := place(t, cluster)
	p.Target.Queue = "team-b"
	d := open(t, p)
	started := make(chan error, 1)
	go func() { started <- d.Start(t.Context(), shell("a", "echo in")) }()
	const queued = "kueue.x-k8s.io/queue-name=team-b"
	require.Eventually(t, func() bool { return cluster.Kubectl(t, "", "get", "jobs", "-l", queued, "-o", "name") != "" }, 5*time.Minute, 100*time.Millisecond)
	select {
	case err := <-started:
		require.Fail(t, "it was not admitted yet", "%v", err)
	default:
	}
	cluster.Kubectl(t, `{"spec": {"suspend": false}}`, "patch", strings.TrimSpace(cluster.Kubectl(t, "", "get", "jobs", "-l", queued, "-o", "name")), "--patch-file", "/dev/stdin")
	require.NoError(t, <-started)
	s, err := d.Wait(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, backend.JobExited, s.State)
}

// TestNotAdmitted has the cluster forbid the pod.
func TestNotAdmitted(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	policy := "azml-" + cluster.Namespace
	cluster.Kubectl(t, fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: %[1]s}
spec:
  failurePolicy: Fail
  matchConstraints:
    objectSelector: {matchLabels: {test: %[1]s}}
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  validations: [{expression: "false", message: not on Fridays}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: %[1]s}
spec: {policyName: %[1]s, validationActions: [Deny]}
`, policy), "apply", "-f", "-")
	t.Cleanup(func() {
		_, _ = cluster.Run(context.Background(), "", "delete", "validatingadmissionpolicies,validatingadmissionpolicybindings", policy)
	})
	p := place(t, cluster)
	p.Target.PodPatch = "metadata: {labels: {test: " + policy + "}}"
	d := open(t, p)
	require.Eventually(t, func() bool { // the policy is in force some seconds after it was made
		_, err := cluster.Run(t.Context(), "", "run", "probe", "--image=x", "--labels=test="+policy, "--dry-run=server")
		return err != nil
	}, 5*time.Minute, 200*time.Millisecond)
	err := d.Start(t.Context(), shell("a", "true"))
	require.ErrorIs(t, err, azml.ErrDenied)
	require.ErrorContains(t, err, "not on Fridays")
	_, err = d.Status(t.Context(), "a")
	require.ErrorIs(t, err, azml.ErrNotFound)
}

// TestKept has the cluster take an ended job away by itself.
func TestKept(t *testing.T) {
	t.Parallel()
	p := place(t, testenv.Kubernetes(t))
	p.Target.KeepEnded = time.Second
	d := open(t, p)
	require.NoError(t, d.Start(t.Context(), shell("a", "true")))
	require.Eventually(t, func() bool {
		_, err := d.Status(t.Context(), "a")
		return errors.Is(err, azml.ErrNotFound)
	}, 5*time.Minute, 100*time.Millisecond)
}

// TestNothingIsShown looks for values in what the cluster says of a job while it runs.
func TestNothingIsShown(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	p := place(t, cluster)
	d := open(t, p)
	job := shell("shown", "cat; id -u; ls /var/run/secrets/kubernetes.io 2>/dev/null; grep NoNewPrivs /proc/self/status; sleep 1000")
	job.Input = []byte("t0ken-of-the-run\n")
	require.NoError(t, d.Start(t.Context(), job))
	read(t, d, "shown", "t0ken-of-the-run\n65532\nNoNewPrivs:\t1\n")
	said := cluster.Kubectl(t, "", "get", "jobs,pods,events", "-o", "yaml")
	require.Contains(t, said, "azml/job: shown")
	require.NotContains(t, said, "s3cret")
	require.NotContains(t, said, "t0ken")
	name := strings.TrimSpace(cluster.Kubectl(t, "", "get", "jobs", "-o", `jsonpath={.items[?(@.metadata.annotations.azml/job=="shown")].metadata.name}`))
	require.NotEmpty(t, name)
	require.Equal(t, "of it: ", cluster.Kubectl(t, "", "get", "secrets", "-o", fmt.Sprintf(`jsonpath={range .items[?(@.metadata.ownerReferences[0].name==%q)]}of it: {.data}{end}`, name)), "it is empty when the command has begun")
}
