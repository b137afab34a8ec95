package kubernetes_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/kubernetes"
	"github.com/azml-go/azml/internal/testenv"
)

// TestStarterKilled kills the process that starts a job, after each request in turn that
// makes or changes something in the cluster, of which it doesn't get the answer. Nothing
// is left after a while, and who looks at the job before is told why.
func TestStarterKilled(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	const starterDied = "the starting process died before the command ran"
	noNode := func(t *kubernetes.Target) { t.NodeSelector = map[string]string{"azml-test": "none"} }
	for name, c := range map[string]struct {
		after  string // the last request
		nodes  int
		on     func(*kubernetes.Target)
		admit  bool // out of a queue
		reason string
	}{
		"its Job is made":            {"POST jobs", 1, noNode, false, starterDied},
		"its Secret is made":         {"POST secrets", 1, noNode, false, starterDied},
		"its service is made":        {"POST services", 2, noNode, false, starterDied},
		"it is in a queue":           {"POST secrets", 1, func(t *kubernetes.Target) { t.Queue = "team-a" }, true, starterDied},
		"its program is to be there": {"GET exec", 1, func(*kubernetes.Target) {}, false, starterDied},
		"its command runs":           {"DELETE secrets", 1, func(*kubernetes.Target) {}, false, starterDied + "|cancelled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, d := apart(t, cluster, 8*time.Second, c.on)
			job := shell("a", "exec sleep 1000")
			job.Nodes = c.nodes
			killAfter(t, p, job, c.after)
			if c.admit {
				cluster.Kubectl(t, "", "patch", "jobs", strings.TrimSpace(cluster.Kubectl(t, "", "get", "jobs", "-n", p.Target.Namespace, "-o", "jsonpath={.items[0].metadata.name}")),
					"-n", p.Target.Namespace, "--type=merge", "-p", `{"spec": {"suspend": false}}`)
			}
			s, err := d.Wait(t.Context(), "a")
			require.NoError(t, err)
			require.NotEqual(t, backend.JobRunning, s.State)
			require.Regexp(t, c.reason, s.Reason)
			require.Eventually(t, func() bool {
				return cluster.Kubectl(t, "", "get", "jobs,pods,secrets,services", "-n", p.Target.Namespace, "-o", "name") == ""
			}, 5*time.Minute, 200*time.Millisecond, "something is left")
		})
	}
}

// TestCancelledJobsGo cancels a job that waits, whose starter was killed, and removes
// nothing: that goes by itself, long before the starter's deadline.
func TestCancelledJobsGo(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	for name, nodes := range map[string]int{"one pod": 1, "two pods": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, d := apart(t, cluster, 20*time.Minute, func(t *kubernetes.Target) {
				t.NodeSelector, t.KeepEnded = map[string]string{"azml-test": "none"}, 10*time.Second
			})
			job := shell("a", "exec sleep 1000")
			job.Nodes = nodes
			killAfter(t, p, job, "POST secrets")
			require.NoError(t, d.Cancel(t.Context(), "a", time.Second))
			s, err := d.Status(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, backend.JobKilled, s.State)
			require.Equal(t, "cancelled before it began", s.Reason)
			require.Eventually(t, func() bool {
				return cluster.Kubectl(t, "", "get", "jobs,pods,secrets,services", "-n", p.Target.Namespace, "-o", "name") == ""
			}, 5*time.Minute, 200*time.Millisecond, "something is left")
		})
	}
}

// TestAdopted has a job go on whose starting process was killed just when its command
// began, as another one listens for it.
func TestAdopted(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	p, d := apart(t, cluster, 40*time.Second, func(*kubernetes.Target) {}) // it is to be adopted before its deadline, however slow all is
	killAfter(t, p, shell("a", "echo begun; until [ -e /tmp/go ]; do sleep 0.1; done; exit 7"), "DELETE secrets")
	l, _, err := d.Listen(t.Context(), "a")
	require.NoError(t, err)
	defer l.Close()
	require.Eventually(t, func() bool {
		begun, deadline, _ := strings.Cut(cluster.Kubectl(t, "", "get", "jobs", "-n", p.Target.Namespace, "-o", "jsonpath={.items[0].metadata.annotations.azml/begun}/{.items[0].spec.activeDeadlineSeconds}"), "/")
		return begun != "" && deadline == ""
	}, 5*time.Minute, 100*time.Millisecond, "it has begun, and no deadline any more")
	read(t, d, "a", "begun\n")
	pod := strings.TrimSpace(cluster.Kubectl(t, "", "get", "pods", "-n", p.Target.Namespace, "-o", "jsonpath={.items[0].metadata.name}"))
	cluster.Kubectl(t, "", "exec", "-n", p.Target.Namespace, pod, "--", "touch", "/tmp/go")
	s, err := d.Wait(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, 7, s.ExitCode, s.Reason)
	require.Empty(t, cluster.Kubectl(t, "", "get", "secrets", "-n", p.Target.Namespace, "-o", "jsonpath={.items[*].data}"))
}

// apart gives a target with a namespace of its own, and a driver that looks on, with the
// usual patience.
func apart(t *testing.T, cluster *testenv.KubernetesCluster, patience time.Duration, change func(*kubernetes.Target)) (placed, *kubernetes.Driver) {
	t.Helper()
	p := place(t, cluster)
	p.Target.Namespace = cluster.Namespace + "-" + strings.ToLower(rand.Text()[:6])
	cluster.Kubectl(t, fmt.Sprintf(`{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": %q, "labels": {"azml-test": "yes"}}}`, p.Target.Namespace), "create", "-f", "-")
	t.Cleanup(func() {
		_, _ = cluster.Run(context.Background(), "", "delete", "namespace", p.Target.Namespace, "--wait=false")
	})
	cluster.Kubectl(t, "", "wait", "--for=create", "serviceaccount/default", "-n", p.Target.Namespace, "--timeout=300s")
	change(&p.Target)
	d, err := p.driver()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	p.Patience = patience
	return p, d
}

// killAfter has another process start the job, and kills it when the API server has done
// a request, "METHOD resource".
func killAfter(t *testing.T, p placed, job backend.Job, after string) {
	t.Helper()
	config, err := clientcmd.RESTConfigFromKubeConfig(p.Kubeconfig)
	require.NoError(t, err)
	way, err := rest.TransportFor(config)
	require.NoError(t, err)
	defer utilnet.CloseIdleConnectionsFor(way)
	to, err := url.Parse(config.Host)
	require.NoError(t, err)
	dying, killed, kill := make(chan struct{}), make(chan struct{}), make(chan func(), 1)
	once := sync.OnceFunc(func() { close(dying); (<-kill)(); close(killed) })
	proxy := &httputil.ReverseProxy{
		Transport: way, FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(answer *http.Response) error {
			if r := answer.Request; r.Method+" "+resourceOf(r.URL.Path) == after && answer.StatusCode < http.StatusMultipleChoices {
				once()
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := httptest.NewServer(proxy)
	defer server.Close()
	defer server.CloseClientConnections()
	p.Kubeconfig = fmt.Appendf(nil, `
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q}}]
contexts: [{name: x, context: {cluster: c}}]
current-context: x
`, server.URL)
	said, die := backendtest.StartElsewhere(t, p, job)
	kill <- die
	t.Cleanup(die)
	answered := make(chan string, 1)
	go func() {
		buf := make([]byte, 1000)
		n, err := said.Read(buf)
		answered <- fmt.Sprintf("%s (%v)", buf[:n], err)
	}()
	select {
	case <-killed:
	case answer := <-answered: // nothing, when it was killed
		select {
		case <-dying:
			<-killed
		default:
			t.Fatalf("it was not killed, and said: %s", answer)
		}
	}
}

// resourceOf gives the kind of what a request is about.
func resourceOf(of string) string {
	for range 2 {
		switch name := path.Base(of); name {
		case "jobs", "secrets", "services", "exec":
			return name
		}
		of = path.Dir(of)
	}
	return ""
}
