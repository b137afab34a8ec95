package main

import (
	"os"
	"path/filepath"
	"testing"

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
	s.ok(t, "compute", "doctor", "k8s")
}
