package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/program"
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
	said, err := s.tries(t, "k8s")
	require.NoError(t, err, said)
}

// TestKubernetesFlags attaches a cluster that nobody asks.
func TestKubernetesFlags(t *testing.T) {
	t.Parallel()
	s := setup(t)
	kubeconfig := write(t, t.TempDir(), "config", `{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c}}],
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]}`)
	create := func(flags ...string) []string {
		return append([]string{"compute", "create", "kubernetes", "k8s", "--kubeconfig", kubeconfig, "--skip-validation"}, flags...)
	}
	for _, volume := range []string{"data", "data:/data:rw", "pod/data:/data", "secret/:/data"} {
		require.Contains(t, s.fails(t, exitUsage, create("--volume", volume)...), "secret/NAME:PATH")
	}
	for _, toleration := range []string{"", "=yes", "gpu:Never", "gpu:"} {
		require.Contains(t, s.fails(t, exitUsage, create("--toleration", toleration)...), "NoExecute")
	}
	require.Contains(t, s.fails(t, exitError, create("--keep-ended", "1500ms")...), "whole seconds")
	s.ok(t, create("--keep-ended", "2h", "--toleration", "gpu=yes:NoSchedule", "--toleration", "spot", "--toleration", "old:NoExecute", "--toleration", "zone=",
		"--volume", "data:/data:ro", "--volume", "secret/license:/license", "--volume", "configmap/settings:/settings:ro")...)
	var d compute.Details
	s.json(t, &d, "compute", "show", "k8s")
	require.Equal(t, "7200000000000", d.Connection["keepEnded"])
	require.JSONEq(t, `[{"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}, {"key": "spot", "operator": "Exists"},
		{"key": "old", "operator": "Exists", "effect": "NoExecute"}, {"key": "zone", "operator": "Equal"}]`, d.Connection["tolerations"])
	require.JSONEq(t, `[{"claim": "data", "path": "/data", "readOnly": true}, {"secret": "license", "path": "/license"},
		{"configMap": "settings", "path": "/settings", "readOnly": true}]`, d.Connection["volumes"])
	for _, verb := range []string{"create", "attach"} {
		other := map[string]string{"create": "attach", "attach": "create"}[verb]
		help := call(t, "", "compute", verb, "kubernetes", "--help").stdout
		require.Contains(t, help, "azml compute "+verb+" kubernetes k8s")
		require.NotContains(t, help, "azml compute "+other)
	}
}

// builtProgram builds azml, once for all tests, below the folder that they have for caches.
var builtProgram = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return (&program.Finder{CacheDir: filepath.Join(cache, "built")}).Find(context.Background(), backend.Platform{OS: runtime.GOOS, Arch: runtime.GOARCH})
})

// tries has the doctor try the target, as a process of its own that finds the program,
// which is built before anybody waits for it.
func (s *shell) tries(t *testing.T, name string, more ...string) (said string, err error) {
	t.Helper()
	file, err := builtProgram()
	require.NoError(t, err)
	bin := t.TempDir()
	require.NoError(t, os.Symlink(file, filepath.Join(bin, "azml")))
	cmd := s.command(t, append([]string{"compute", "doctor", name, "--try"}, more...)...)
	cmd.Env = append(cmd.Env, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	return string(out), err
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
	said, err = s.tries(t, "imageless")
	require.Error(t, err)
	require.Contains(t, said, "/no/such:1")
	s.ok(t, attach("claimless", "--shared-claim", "nothing")...)
	said, err = s.tries(t, "claimless", "--within", "1m")
	require.Error(t, err)
	require.Contains(t, said, `persistentvolumeclaim "nothing" not found`)
	require.Eventually(t, func() bool { return cluster.Kubectl(t, "", "get", "jobs,pods,secrets", "-o", "name") == "" },
		5*time.Minute, 200*time.Millisecond, "nothing is left")
}
