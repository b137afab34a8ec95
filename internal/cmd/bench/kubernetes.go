package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/azml-go/azml/backend/kubernetes"
	"github.com/azml-go/azml/internal/testenv"
)

// benchKubernetes measures runs on a Kubernetes of one node beside a bare Job of the
// same command: once where the program is brought by each run, and once where the
// target has a registry for it.
func benchKubernetes(ctx context.Context, b *bench) error {
	shared, err := os.MkdirTemp("", "azml-bench-shared-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(shared)
	if err := os.Chmod(shared, 0o777); err != nil { // jobs run as nobody
		return err
	}
	cluster, stop, err := testenv.LaunchKubernetes(ctx)
	if err != nil {
		return err
	}
	err = b.benchCluster(ctx, cluster, shared)
	return errors.Join(err, stop())
}

func (b *bench) benchCluster(ctx context.Context, cluster *testenv.KubernetesCluster, shared string) error {
	kubeconfig, err := os.ReadFile(cluster.Kubeconfig)
	if err != nil {
		return err
	}
	jobs, err := newBareJobs(kubeconfig, cluster, shared)
	if err != nil {
		return err
	}
	defer jobs.client.CloseIdleConnections()
	target := kubernetes.Target{Kubeconfig: kubeconfig, Namespace: cluster.Namespace, Image: cluster.Image, PodPatch: `
spec:
  volumes: [{name: shared, hostPath: {path: ` + shared + `}}]
  containers: [{name: job, volumeMounts: [{name: shared, mountPath: ` + shared + `}]}]`}
	p := place{name: "Kubernetes", floorName: "a bare Job", slack: 200, config: target, bare: jobs.run}
	err = b.benchTarget(ctx, shared, p, (*onTarget).measureOverhead)
	target.Registry = cluster.Registry + "/azml-bench/" + cluster.Namespace
	p.name, p.config = "Kubernetes-with-registry", target
	return errors.Join(err, b.benchTarget(ctx, shared, p, (*onTarget).measureOverhead))
}

// bareJobs makes Jobs by the API alone.
type bareJobs struct {
	client  *http.Client
	url     string
	image   string
	shared  string
	counter int
}

func newBareJobs(kubeconfig []byte, cluster *testenv.KubernetesCluster, shared string) (*bareJobs, error) {
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	client, err := rest.HTTPClientFor(config)
	return &bareJobs{client: client, url: config.Host + "/apis/batch/v1/namespaces/" + cluster.Namespace + "/jobs", image: cluster.Image, shared: shared}, err
}

// run runs a command to the end of its Job. What it writes stays in the cluster.
func (j *bareJobs) run(ctx context.Context, _ io.Writer, command ...string) error {
	j.counter++
	name := "bare-" + strconv.Itoa(j.counter) + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	words, err := json.Marshal(command)
	if err != nil {
		return err
	}
	manifest := fmt.Sprintf(`{"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": %q}, "spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never",
		"securityContext": {"runAsUser": 65532}, "volumes": [{"name": "shared", "hostPath": {"path": %q}}],
		"containers": [{"name": "job", "image": %q, "command": %s, "volumeMounts": [{"name": "shared", "mountPath": %[2]q}]}]}}}}`, name, j.shared, j.image, words)
	made, err := j.ask(ctx, http.MethodPost, j.url, manifest)
	if err != nil {
		return err
	}
	defer made.Close()
	if _, err := io.Copy(io.Discard, made); err != nil {
		return err
	}
	watched, err := j.ask(ctx, http.MethodGet, j.url+"?watch=1&fieldSelector=metadata.name%3D"+name, "")
	if err != nil {
		return err
	}
	defer watched.Close()
	for events := json.NewDecoder(watched); ; {
		var e struct {
			Object struct {
				Status struct{ Succeeded, Failed int }
			}
		}
		if err := events.Decode(&e); err != nil {
			return fmt.Errorf("watch %s: %w", name, err)
		}
		if e.Object.Status.Failed > 0 {
			return fmt.Errorf("the Job %s failed", name)
		}
		if e.Object.Status.Succeeded > 0 {
			return nil
		}
	}
}

// ask makes a request and gives the body of its answer.
func (j *bareJobs) ask(ctx context.Context, method, url, body string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := j.client.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= http.StatusBadRequest {
		defer answer.Body.Close()
		var said bytes.Buffer
		_, _ = said.ReadFrom(io.LimitReader(answer.Body, 1<<10))
		return nil, fmt.Errorf("%s: %s", answer.Status, said.String())
	}
	return answer.Body, nil
}
