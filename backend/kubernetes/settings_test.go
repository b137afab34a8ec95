package kubernetes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/kubernetes"
	"github.com/azml-go/azml/internal/testenv"
)

// belongings are what the settings of TestSettings name. The number of the priority class
// is too small to take its place from a pod of another test.
const belongings = `
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: %[1]s}
value: -42
preemptionPolicy: Never
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: worker}
---
apiVersion: v1
kind: Secret
metadata: {name: word}
stringData: {word: "of a secret\n"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: word}
data: {word: "of a map\n"}
`

// claimed is a claim and its volume, a folder of this machine, which is the node's.
const claimed = `
apiVersion: v1
kind: PersistentVolume
metadata: {name: %[1]s-%[2]s}
spec: {accessModes: [ReadWriteOnce], capacity: {storage: 1Mi}, storageClassName: "", hostPath: {path: %[3]s}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: %[2]s}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}, storageClassName: "", volumeName: %[1]s-%[2]s}
`

// TestSettings has a job see all that its target's settings give it, and the next one,
// of another process, what the first has left in claims.
func TestSettings(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	class := "azml-" + cluster.Namespace
	cluster.Kubectl(t, fmt.Sprintf(belongings, class), "apply", "-f", "-")
	t.Cleanup(func() { _, _ = cluster.Run(context.Background(), "", "delete", "priorityclass", class) })
	for _, claim := range []string{"data", "kept"} {
		dir := t.TempDir()
		require.NoError(t, os.Chmod(dir, 0o777))
		cluster.Kubectl(t, fmt.Sprintf(claimed, class, claim, dir), "apply", "-f", "-")
		t.Cleanup(func() {
			_, _ = cluster.Run(context.Background(), "", "delete", "--wait=false", "pvc/"+claim, "pv/"+class+"-"+claim)
		})
	}
	p := place(t, cluster)
	p.Target.NodeSelector = map[string]string{"kubernetes.io/hostname": "node"}
	p.Target.Tolerations = []corev1.Toleration{{Key: "azml-test", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}}
	p.Target.PriorityClass, p.Target.ServiceAccount, p.Target.User = class, "worker", "1000:2000"
	p.Target.Requests, p.Target.Limits = map[string]string{"cpu": "10m", "memory": "32Mi"}, backend.Limits{CPUs: 1.5, Memory: 256 << 20, SharedMemory: 8 << 20}
	p.Target.Volumes = []kubernetes.Volume{{Claim: "data", Path: "/data"}, {Claim: "data", Path: "/data-as-it-is", ReadOnly: true},
		{Secret: "word", Path: "/secret"}, {ConfigMap: "word", Path: "/map"}}
	p.Target.SharedClaim, p.Target.PodPatch = "kept", `{metadata: {labels: {team: risk}}, spec: {containers: [{name: job, env: [{name: PATCHED, value: by the target}]}]}}`
	p.Target.Kubeconfig = p.Kubeconfig
	hook := func(template *corev1.PodTemplateSpec) {
		template.Labels["hook"] = template.Labels["team"] + "-too"
		c := &template.Spec.Containers[0]
		c.Env = append(c.Env, corev1.EnvVar{Name: "HOOKED", Value: "by the program"})
	}
	d, err := kubernetes.New(p.Target, &kubernetes.Options{Name: p.Name, CacheDir: p.CacheDir, Pod: hook,
		Program: func(context.Context, backend.Platform) (string, error) { return p.Program, nil }})
	require.NoError(t, err)
	defer d.Close()
	job := shell("first", `cat /secret/word /map/word; echo left >/data/file; cat /data-as-it-is/file; touch /data-as-it-is/new 2>/dev/null || echo as it is
echo kept >/var/cache/azml/file; id -u; id -g; df -k /dev/shm | tail -1 | tr -s ' ' | cut -d ' ' -f 2
tr '\0' '\n' </proc/1/environ | grep -E 'PATCHED|HOOKED' | sort; exec sleep 1000`)
	require.NoError(t, d.Start(t.Context(), job))
	read(t, d, "first", "of a secret\nof a map\nleft\nas it is\n1000\n2000\n8192\nHOOKED=by the program\nPATCHED=by the target\n")

	var pods corev1.PodList
	require.NoError(t, json.Unmarshal([]byte(cluster.Kubectl(t, "", "get", "pods", "-l", "hook=risk-too", "-o", "json")), &pods))
	require.Len(t, pods.Items, 1)
	spec := pods.Items[0].Spec
	require.Equal(t, int32(-42), *spec.Priority)
	require.Equal(t, "worker", spec.ServiceAccountName)
	require.Equal(t, "node", spec.NodeSelector["kubernetes.io/hostname"])
	require.Contains(t, spec.Tolerations, p.Target.Tolerations[0])
	has := spec.Containers[0].Resources
	require.Equal(t, []string{"10m", "32Mi", "1500m", "256Mi"}, []string{has.Requests.Cpu().String(), has.Requests.Memory().String(), has.Limits.Cpu().String(), has.Limits.Memory().String()})

	other := open(t, p)
	require.NoError(t, other.Cancel(t.Context(), "first", 0))
	s, said := finish(t, other, shell("second", "cat /data/file /var/cache/azml/file"))
	require.Zero(t, s.ExitCode, s.Reason)
	require.Equal(t, "left\nkept\n", said)
}

// guard is a registry that asks for a login before it answers as the node's does.
const guard = `import base64, http.client, http.server, sys
want = "Basic " + base64.b64encode(b"azml:pa55").decode()
class Guard(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.headers.get("Authorization") != want:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="test"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        inside = http.client.HTTPConnection(sys.argv[1])
        inside.request(self.command, self.path, headers={k: v for k, v in self.headers.items() if k.lower() in ("accept", "range")})
        answer = inside.getresponse()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "date", "server"):
                self.send_header(name, value)
        self.end_headers()
        while part := answer.read(1 << 16):
            self.wfile.write(part)
    do_HEAD = do_GET
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Guard)
print(server.server_port, flush=True)
server.serve_forever()
`

// TestPullSecrets has the node pull an image that wants a login, with and without the
// Secret that has it.
func TestPullSecrets(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	script, err := json.Marshal(guard)
	require.NoError(t, err)
	cluster.Kubectl(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: guard}
spec: {hostNetwork: true, containers: [{name: guard, image: %s, command: [python3, -c, %s, %q]}]}
`, cluster.Image, script, cluster.Registry), "apply", "-f", "-")
	cluster.Kubectl(t, "", "wait", "--for=condition=Ready", "pod/guard", "--timeout=300s")
	port := ""
	require.Eventually(t, func() bool {
		port = strings.TrimSpace(cluster.Kubectl(t, "", "logs", "guard"))
		return port != ""
	}, 5*time.Minute, 100*time.Millisecond)
	p := place(t, cluster)
	p.Target.Image = "127.0.0.1:" + port + strings.TrimPrefix(cluster.Image, cluster.Registry)
	require.ErrorIs(t, open(t, p).Start(t.Context(), shell("a", "true")), azml.ErrDenied)
	cluster.Kubectl(t, "", "create", "secret", "docker-registry", "login", "--docker-server=127.0.0.1:"+port, "--docker-username=azml", "--docker-password=pa55")
	p.Target.PullSecrets = []string{"login"}
	s, said := finish(t, open(t, p), shell("a", "echo let in"))
	require.Zero(t, s.ExitCode, s.Reason)
	require.Equal(t, "let in\n", said)
}
