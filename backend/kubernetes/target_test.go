package kubernetes_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/kubernetes"
)

// aKubeconfig leads nowhere.
const aKubeconfig = `
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}, {name: other, cluster: {server: "https://other.invalid"}}]
users: [{name: u, user: {token: s3cret}}]
contexts: [{name: here, context: {cluster: c, user: u, namespace: ml}}, {name: there, context: {cluster: other, user: u}}]
current-context: here
`

// TestTarget goes through what is stored.
func TestTarget(t *testing.T) {
	t.Parallel()
	want := kubernetes.Target{
		Kubeconfig: []byte(aKubeconfig), Namespace: "n", Image: "i", Registry: "r.example.com/x", Platform: "linux/arm64", User: "5:6", ServiceAccount: "s",
		PullSecrets: []string{"p"}, NodeSelector: map[string]string{"k": "v"}, Tolerations: []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists}},
		PriorityClass: "low", Requests: map[string]string{"cpu": "500m"}, Limits: backend.Limits{CPUs: 1.5, Memory: 1 << 40, GPUs: 2}, GPU: "amd.com/gpu",
		Volumes:     []kubernetes.Volume{{Claim: "c", Path: "/data", ReadOnly: true}, {Secret: "s", Path: "/s"}, {ConfigMap: "m", Path: "/m"}},
		SharedClaim: "shared", Queue: "q", PodPatch: "spec: {runtimeClassName: \"1\"}", KeepEnded: time.Hour,
	}
	source, err := want.Source()
	require.NoError(t, err)
	require.Equal(t, "Kubernetes", source.Type)
	require.Equal(t, backend.Credentials{"kubeconfig": aKubeconfig}, source.Credentials)
	require.Len(t, source.Connection, 18)
	require.Equal(t, "5:6", source.Connection["user"])
	source.CacheDir = t.TempDir()
	opened, err := kubernetes.Kind{}.Open(t.Context(), source)
	require.NoError(t, err)
	defer opened.Close()
	on, err := opened.Platform(t.Context())
	require.NoError(t, err)
	require.Equal(t, backend.Platform{OS: "linux", Arch: "arm64"}, on)
	require.Equal(t, "i", opened.(backend.Images).DefaultImage())
	require.ErrorIs(t, opened.Check(t.Context()), azml.ErrUnavailable)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = opened.Wait(ctx, "a")
	require.ErrorIs(t, err, context.DeadlineExceeded)

	for member, value := range map[string]string{"colour": "blue", "requests": "{", "limits": `{"CPUs": "many"}`, "user": "root", "podPatch": "spec: ["} {
		_, err := kubernetes.Kind{}.Open(t.Context(), backend.ComputeSource{Connection: map[string]string{member: value}, Credentials: source.Credentials, CacheDir: t.TempDir()})
		require.ErrorIs(t, err, azml.ErrInvalid, member)
	}
	for name, bad := range map[string]kubernetes.Target{
		"no kubeconfig, in no cluster": {}, "kubeconfig": {Kubeconfig: []byte("{")}, "user": {User: "-1"}, "group": {User: "1:x"}, "all GPUs": {Limits: backend.Limits{GPUs: -1}},
		"platform": {Platform: "linux"}, "request": {Requests: map[string]string{"cpu": "x"}}, "volume": {Volumes: []kubernetes.Volume{{Path: "/x"}}},
		"path": {Volumes: []kubernetes.Volume{{Claim: "c", Path: "x"}}}, "time": {KeepEnded: time.Millisecond}, "patch": {PodPatch: "spec: {nonsense: 1}"},
	} {
		if bad.Kubeconfig == nil && name != "no kubeconfig, in no cluster" {
			bad.Kubeconfig = []byte(aKubeconfig)
		}
		_, err := bad.Source()
		require.ErrorIs(t, err, azml.ErrInvalid, name)
	}
}

// TestNoKubeconfig says where none was found. It is not parallel, for the process's environment.
func TestNoKubeconfig(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	t.Setenv("KUBECONFIG", missing)
	_, err := kubernetes.ReadKubeconfig("", "")
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.ErrorContains(t, err, "no kubeconfig with a context in "+missing+": name its file, or set KUBECONFIG")
}

// TestReadKubeconfig takes the part of a context, with the files that it names.
func TestReadKubeconfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "config")
	require.NoError(t, os.WriteFile(file, []byte(aKubeconfig), 0o600))
	text, err := kubernetes.ReadKubeconfig(file, "")
	require.NoError(t, err)
	require.Contains(t, string(text), "s3cret")
	require.NotContains(t, string(text), "other.invalid")
	text, err = kubernetes.ReadKubeconfig(file, "there")
	require.NoError(t, err)
	require.Contains(t, string(text), "other.invalid")
	_, err = kubernetes.ReadKubeconfig(file, "nowhere")
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.ErrorContains(t, err, `no context "nowhere": name one of here, there`)
	_, err = kubernetes.ReadKubeconfig(filepath.Join(dir, "none"), "")
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.ErrorContains(t, err, filepath.Join(dir, "none"))
	broken := filepath.Join(dir, "broken")
	require.NoError(t, os.WriteFile(broken, []byte("contexts: ["), 0o600))
	_, err = kubernetes.ReadKubeconfig(broken, "")
	require.ErrorIs(t, err, azml.ErrInvalid)
	contextless := filepath.Join(dir, "contextless")
	require.NoError(t, os.WriteFile(contextless, []byte(strings.Replace(aKubeconfig, "current-context: here", "", 1)), 0o600))
	_, err = kubernetes.ReadKubeconfig(contextless, "")
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.ErrorContains(t, err, "no current context: name one of here, there")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "ca.pem"), []byte("certificates"), 0o600))
	require.NoError(t, os.WriteFile(file, []byte(`
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1", certificate-authority: ca.pem}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: here, context: {cluster: c, user: u}}]
current-context: here
`), 0o600))
	text, err = kubernetes.ReadKubeconfig(file, "")
	require.NoError(t, err)
	require.Contains(t, string(text), "certificate-authority-data: Y2VydGlmaWNhdGVz")
}
