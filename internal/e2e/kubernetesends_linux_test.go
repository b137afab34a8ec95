package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/kubernetes"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
)

// webhook is a validating webhook that denies what it is asked about.
const webhook = `import http.server, json, ssl
class Denies(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked["response"] = {"uid": asked.pop("request")["uid"], "allowed": False, "status": {"message": "not on Fridays"}}
        answer = json.dumps(asked).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tls/tls.crt", "/tls/tls.key")
server = http.server.ThreadingHTTPServer(("", 8443), Denies)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
`

// deny runs the webhook in a pod, for pods whose label "denied" is the namespace, and for
// Jobs with such a template whose label is "job-" and that.
func deny(t *testing.T, cluster *testenv.KubernetesCluster) {
	t.Helper()
	host := "webhook." + cluster.Namespace + ".svc"
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	own, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	encoded := func(kind string, der []byte) string {
		var text bytes.Buffer
		require.NoError(t, pem.Encode(&text, &pem.Block{Type: kind, Bytes: der}))
		return base64.StdEncoding.EncodeToString(text.Bytes())
	}
	script, err := json.Marshal(webhook) // which is YAML, too
	require.NoError(t, err)
	cluster.Kubectl(t, fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: webhook}
type: kubernetes.io/tls
data: {tls.crt: %[2]s, tls.key: %[3]s}
---
apiVersion: v1
kind: Service
metadata: {name: webhook}
spec: {selector: {app: webhook}, ports: [{port: 443, targetPort: 8443}]}
---
apiVersion: v1
kind: Pod
metadata: {name: webhook, labels: {app: webhook}}
spec:
  volumes: [{name: tls, secret: {secretName: webhook}}]
  containers:
  - name: webhook
    image: %[4]s
    command: [python3, -c, %[5]s]
    volumeMounts: [{name: tls, mountPath: /tls}]
    readinessProbe: {tcpSocket: {port: 8443}, periodSeconds: 1}
`, cluster.Namespace, encoded("CERTIFICATE", own), encoded("PRIVATE KEY", private), cluster.Image, script), "apply", "-f", "-")
	cluster.Kubectl(t, "", "wait", "--for=condition=Ready", "pod/webhook", "--timeout=300s")
	cluster.Kubectl(t, fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: %[1]s}
webhooks:
- name: pods.azml.test
  clientConfig: &client {caBundle: %[2]s, service: {name: webhook, namespace: %[1]s}}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  objectSelector: {matchLabels: {denied: %[1]s}}
  sideEffects: None
  admissionReviewVersions: [v1]
- name: jobs.azml.test
  clientConfig: *client
  rules: [{apiGroups: [batch], apiVersions: [v1], operations: [CREATE], resources: [jobs]}]
  matchConditions: [{name: template, expression: "has(object.spec.template.metadata.labels) && object.spec.template.metadata.labels[?'denied'] == optional.of('job-%[1]s')"}]
  sideEffects: None
  admissionReviewVersions: [v1]
`, cluster.Namespace, encoded("CERTIFICATE", own)), "apply", "-f", "-")
	t.Cleanup(func() {
		_, _ = cluster.Run(context.Background(), "", "delete", "validatingwebhookconfiguration", cluster.Namespace)
	})
	require.Eventually(t, func() bool { // it is in force some seconds after it was made
		_, err := cluster.Run(t.Context(), "", "run", "probe", "--image=x", "--labels=denied="+cluster.Namespace, "--dry-run=server")
		return err != nil && strings.Contains(err.Error(), "not on Fridays")
	}, 5*time.Minute, 200*time.Millisecond)
}

// TestHowKubernetesEndsRuns has a cluster refuse runs, and end them by itself: each is
// Failed with what was said, and nothing is left of it there, no Secret above all.
func TestHowKubernetesEndsRuns(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	deny(t, cluster)
	refused := onCluster(t)
	refused.PodPatch = "metadata: {labels: {denied: job-" + cluster.Namespace + "}}"
	_, err := newPlace(t).openFor(t).Compute().Create(t.Context(), "k8s", refused, nil)
	require.ErrorIs(t, err, azml.ErrDenied, "its Jobs are denied, and that is found before a run is there")
	require.ErrorContains(t, err, `admission webhook "jobs.azml.test" denied the request: not on Fridays`)
	for name, c := range map[string]struct {
		script string
		change func(*kubernetes.Target)
		config func(*experiment.ScriptRunConfig)
		do     func(t *testing.T, namespace, pod string)
		reason string
	}{
		"no image": {"true", func(k *kubernetes.Target) { k.Image = cluster.Registry + "/no/such:1" }, nil, nil, "no/such:1"},
		"its pod is denied": {"true", func(k *kubernetes.Target) { k.PodPatch = "metadata: {labels: {denied: " + cluster.Namespace + "}}" }, nil, nil,
			`the cluster does not admit its pod: Error creating: admission webhook "pods.azml.test" denied the request: not on Fridays`},
		"quota for too long": {"true", func(k *kubernetes.Target) {
			cluster.Kubectl(t, "", "create", "quota", "none", "--hard=pods=0", "-n", k.Namespace)
		},
			func(c *experiment.ScriptRunConfig) { c.MaxStart = 5 * time.Second }, nil, "exceeded quota: none"},
		"out of memory": {`python3 -c 'x = bytearray(1 << 30)'`, func(k *kubernetes.Target) { k.Limits.Memory = 128 << 20 }, nil, nil, "exit code 137: the system ended a process for want of memory"},
		"evicted":       {"echo begun; exec sleep 1000", nil, nil, func(t *testing.T, namespace, pod string) { evict(t, cluster, namespace, pod) }, "EvictionByEvictionAPI"},
		"its pod is lost": {"echo begun; exec sleep 1000", nil, nil, func(t *testing.T, namespace, pod string) {
			cluster.Kubectl(t, "", "delete", "pod", pod, "-n", namespace, "--force", "--grace-period=0")
		}, "(was asked to end by it|its pod is gone)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			on := onCluster(t)
			on.Namespace = ownNamespace(t, cluster)
			if c.change != nil {
				c.change(&on)
			}
			ws := newPlace(t).openFor(t)
			_, err := ws.Compute().Create(t.Context(), "k8s", on, nil)
			require.NoError(t, err)
			r, err := target{compute: "k8s"}.submit(t, ws, c.script, c.config)
			if err == nil {
				if c.do != nil {
					hears(t, r, "begun\n")
					c.do(t, on.Namespace, strings.TrimSpace(cluster.Kubectl(t, "", "get", "pods", "-n", on.Namespace, "-o", "jsonpath={.items[*].metadata.name}")))
				}
				err = r.Wait(t.Context(), nil)
			}
			require.Error(t, err)
			runs := 0
			for r, err := range ws.Runs().List(t.Context(), nil) {
				require.NoError(t, err)
				require.Equal(t, run.StatusFailed, r.Status())
				require.Regexp(t, c.reason, r.Details().Error.Message)
				runs++
			}
			require.Equal(t, 1, runs)
			nothingIn(t, cluster, on.Namespace)
		})
	}
}

// evict has the cluster end a pod, as it does with those of nodes that are to be emptied.
func evict(t *testing.T, cluster *testenv.KubernetesCluster, namespace, pod string) {
	t.Helper()
	cluster.Kubectl(t, fmt.Sprintf(`{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": %q, "namespace": %q}}`, pod, namespace),
		"create", "--raw", "/api/v1/namespaces/"+namespace+"/pods/"+pod+"/eviction", "-f", "-")
}

// ownNamespace makes a namespace that the test has for itself.
func ownNamespace(t *testing.T, cluster *testenv.KubernetesCluster) string {
	t.Helper()
	name := cluster.Namespace + "-" + strings.ToLower(rand.Text()[:6])
	cluster.Kubectl(t, fmt.Sprintf(`{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": %q, "labels": {"azml-test": "yes"}}}`, name), "create", "-f", "-")
	t.Cleanup(func() { _, _ = cluster.Run(context.Background(), "", "delete", "namespace", name, "--wait=false") })
	cluster.Kubectl(t, "", "wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=300s")
	return name
}
