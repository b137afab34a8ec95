package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/testenv"
)

// TestKubernetes attaches a real cluster and asks whether it can take runs.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	s := setup(t)
	for _, flags := range [][]string{{"--memory", "much"}, {"--volume", "data"}, {"--shm-size", "-1g"}, {"--in-cluster", "--context", "x"}} {
		s.fails(t, exitUsage, append([]string{"compute", "attach", "kubernetes", "k8s", "--kubeconfig", cluster.Kubeconfig}, flags...)...)
	}
	for _, flags := range [][]string{{"--context", "none"}, {"--request", "cpu=many"}, {"--user", "root"}, {"--pod-patch", "/no/such/file"}} {
		s.fails(t, exitError, append([]string{"compute", "attach", "kubernetes", "k8s", "--kubeconfig", cluster.Kubeconfig}, flags...)...)
	}
	patch := filepath.Join(t.TempDir(), "pod.yaml")
	require.NoError(t, os.WriteFile(patch, []byte("metadata: {labels: {team: risk}}\n"), 0o600))
	require.Equal(t, "k8s", s.ok(t, "compute", "attach", "kubernetes", "k8s", "--kubeconfig", cluster.Kubeconfig, "--context", "kube", "--namespace", cluster.Namespace,
		"--image", cluster.Image, "--memory", "512m", "--request", "cpu=10m", "--node-selector", "kubernetes.io/hostname=node", "--pod-patch", patch))
	var d compute.Details
	s.json(t, &d, "compute", "show", "k8s")
	require.Equal(t, compute.Type("Kubernetes"), d.Type)
	require.Equal(t, cluster.Namespace, d.Connection["namespace"])
	require.JSONEq(t, `{"cpu": "10m"}`, d.Connection["requests"])
	require.NotContains(t, d.Connection, "kubeconfig", "it is a secret")
	s.ok(t, "compute", "doctor", "k8s", "--try")
}

// TestKubernetesThatCannotTakeRuns has the doctor say what is wrong, and attaching where
// no pod needs to be tried for that.
func TestKubernetesThatCannotTakeRuns(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	s := setup(t)
	attach := func(name string, more ...string) []string {
		return append([]string{"compute", "create", "kubernetes", name, "--kubeconfig", cluster.Kubeconfig, "--namespace", cluster.Namespace, "--image", cluster.Image}, more...)
	}
	require.Contains(t, s.fails(t, exitError, attach("k8s", "--namespace", "nowhere")...), "namespace nowhere: make it, or name another")

	cluster.Kubectl(t, "", "create", "serviceaccount", "weak")
	token := strings.TrimSpace(cluster.Kubectl(t, "", "create", "token", "weak"))
	kubeconfig, err := os.ReadFile(cluster.Kubeconfig)
	require.NoError(t, err)
	weak := regexp.MustCompile(`client-(certificate|key)-data: \S+`).ReplaceAllString(string(kubeconfig), "")
	weak = regexp.MustCompile(`(?m)^( *)user:[ \t]*$`).ReplaceAllString(weak, "${1}user:\n${1}  token: "+token)
	file := filepath.Join(t.TempDir(), "weak")
	require.NoError(t, os.WriteFile(file, []byte(weak), 0o600))
	said := s.fails(t, exitError, attach("k8s", "--kubeconfig", file)...)
	require.Contains(t, said, "this user may not: create jobs, get jobs")
	require.Contains(t, said, "docs/kubernetes.md has a Role that is enough")

	s.ok(t, attach("imageless", "--image", cluster.Registry+"/no/such:1")...)
	s.ok(t, "compute", "doctor", "imageless")
	require.Contains(t, s.fails(t, exitError, "compute", "doctor", "imageless", "--try"), "/no/such:1")
	s.ok(t, attach("claimless", "--shared-claim", "nothing")...)
	require.Contains(t, s.fails(t, exitError, "compute", "doctor", "claimless", "--try", "--within", "20s"), `persistentvolumeclaim "nothing" not found`)
	require.Eventually(t, func() bool { return cluster.Kubectl(t, "", "get", "jobs,pods,secrets", "-o", "name") == "" },
		5*time.Minute, 200*time.Millisecond, "nothing is left")
}
