package testenv

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// KubernetesVariable names the environment variable with the folder that a
// Kubernetes of tests is started by: kube-up and what it needs. Without it that is
// "shared/kube" beside the repository.
const KubernetesVariable = "AZML_TEST_KUBE"

// KubernetesCluster is a Kubernetes of one node on this machine, with a registry, for
// tests alone. It has no network but this machine's loopback.
type KubernetesCluster struct {
	// Kubeconfig is a file with the way to it, as its administrator.
	Kubeconfig string
	// Namespace is one of this process alone.
	Namespace string
	// Registry is the registry's host and port, for this machine and the node.
	Registry string
	// Image is an image there with what [DockerImage] has.
	Image string

	dir, tools string
	environ    []string
	lock       string       // the name of the lock that starting and ending it take
	use        *flock.Flock // is held as long as this process uses it
}

// clusters are those that this process has asked for, by their names.
var clusters = struct {
	sync.Mutex
	users   map[string]int
	running map[string]*KubernetesCluster
}{users: map[string]int{}, running: map[string]*KubernetesCluster{}}

// Kubernetes gives a cluster that all tests of a machine share, each process in a
// namespace of its own. It ends with the last of those that use it.
func Kubernetes(t testing.TB) *KubernetesCluster {
	t.Helper()
	return kubernetesNamed(t, "shared")
}

// KubernetesAlone gives a cluster that no other process uses, for tests that break it.
func KubernetesAlone(t testing.TB) *KubernetesCluster {
	t.Helper()
	return kubernetesNamed(t, alone+strconv.Itoa(os.Getpid()))
}

// LaunchKubernetes is Kubernetes for programs that are no tests; stop ends this
// process's use of it.
func LaunchKubernetes(ctx context.Context) (cluster *KubernetesCluster, stop func() error, err error) {
	tools, err := kubernetes(ctx, true)
	if err != nil {
		return nil, nil, err
	}
	if cluster, err = startKubernetes(ctx, tools, "shared"); err != nil {
		return nil, nil, err
	}
	return cluster, cluster.stop, nil
}

func kubernetesNamed(t testing.TB, called string) *KubernetesCluster {
	t.Helper()
	tools := need(t, AbilityKubernetes, func() (string, error) { return kubernetes(t.Context(), false) })
	clusters.Lock()
	defer clusters.Unlock()
	if clusters.users[called] == 0 {
		c, err := startKubernetes(t.Context(), tools, called)
		if err != nil {
			Skip(t, AbilityKubernetes, err.Error())
		}
		clusters.running[called] = c
	}
	clusters.users[called]++
	t.Cleanup(func() {
		clusters.Lock()
		defer clusters.Unlock()
		if clusters.users[called]--; clusters.users[called] > 0 {
			return
		}
		if err := clusters.running[called].stop(); err != nil {
			t.Errorf("end Kubernetes: %v", err)
		}
	})
	return clusters.running[called]
}

// kubernetes gives the folder with the programs, copied to where it can be written.
func kubernetes(ctx context.Context, again bool) (string, error) {
	if os.Geteuid() != 0 {
		return "", errors.New("only root can start a node")
	}
	from := os.Getenv(KubernetesVariable)
	if from == "" {
		root, err := output(ctx, "go", "env", "GOMOD")
		if err != nil {
			return "", err
		}
		from = filepath.Join(filepath.Dir(strings.TrimSpace(root)), "..", "shared", "kube")
	}
	source, err := os.ReadFile(filepath.Join(from, "kube.tar.xz.source"))
	if err != nil {
		return "", fmt.Errorf("name the folder with kube-up in %s: %w", KubernetesVariable, err)
	}
	c, err := openCache()
	if err != nil {
		return "", err
	}
	return c.installed(ctx, fmt.Sprintf("kubernetes-%.12x", sha256.Sum256(source)), again, func(dir string) error {
		_, err := output(ctx, "sh", "-c", `cp -r "$1/." "$2" && chmod -R u+w "$2"`, "sh", from, dir)
		return err
	})
}

// kubernetesRoom is what must be free of the disk: a node whose disk has a hundredth free
// removes images, and can't have those again that its pods begin with.
const kubernetesRoom = 5 * GiB

// startKubernetes starts a cluster unless it runs, and notes that this process uses it.
func startKubernetes(ctx context.Context, tools, called string) (*KubernetesCluster, error) {
	c := &KubernetesCluster{dir: filepath.Join(tools, called), tools: tools, lock: filepath.Base(tools) + "-" + called,
		Namespace: "test-" + strings.ToLower(rand.Text()[:12])}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, err
	}
	if err := Room(c.dir, kubernetesRoom); err != nil {
		return nil, err
	}
	cache, err := openCache()
	if err != nil {
		return nil, err
	}
	image, err := pythonRoot(ctx)
	if err != nil {
		return nil, err
	}
	unlock, err := cache.lock(ctx, c.lock)
	if err != nil {
		return nil, err
	}
	defer unlock()
	c.use = flock.New(filepath.Join(c.dir, "users"))
	first, err := c.use.TryLock()
	if err == nil {
		err = c.sweep()
	}
	if err == nil {
		err = c.up(ctx)
	}
	if err == nil {
		err = c.push(ctx, c.Image, image)
	}
	if err == nil && first { // what killed tests left is nobody's
		_, err = c.Run(ctx, "", "delete", "namespace", "-l", namespaceLabel+"=yes", "--wait=false")
	}
	if err == nil {
		err = c.makeNamespace(ctx)
	}
	if err == nil {
		_, err = c.use.TryRLock() // from now on others may use it, too
	}
	if err != nil {
		return nil, errors.Join(err, c.down())
	}
	return c, nil
}

// alone begins the names of clusters of one process, which are not kept.
const alone = "alone-"

// sweep ends what is left of clusters whose process was killed.
func (c *KubernetesCluster) sweep() error {
	dirs, err := filepath.Glob(filepath.Join(c.tools, alone+"*"))
	for _, dir := range dirs {
		left := &KubernetesCluster{dir: dir, tools: c.tools, environ: os.Environ(), use: flock.New(filepath.Join(dir, "users"))}
		if dir != c.dir {
			err = errors.Join(err, left.down())
		}
	}
	return err
}

// namespaceLabel is the label of namespaces of tests.
const namespaceLabel = "azml-test"

// up starts what does not run of the cluster.
func (c *KubernetesCluster) up(ctx context.Context) error {
	ports, err := c.ports()
	if err != nil {
		return err
	}
	c.environ = append(os.Environ(), "KUBE_PORT="+ports[0], "KUBE_REGISTRY="+ports[1], "KUBE_FORWARD=")
	c.Registry = "127.0.0.1:" + ports[1]
	c.Image = c.Registry + "/azml-test/python:1"
	c.Kubeconfig = filepath.Join(c.dir, "kubeconfig")
	return c.start(ctx)
}

// tooSlow is what kube-up says of a part that it has started and waited for.
const tooSlow = "not ready within"

// start runs kube-up, and again while a part takes longer than kube-up waits, as on a busy
// machine: it starts only what does not run.
func (c *KubernetesCluster) start(ctx context.Context) error {
	for end := time.Now().Add(patience); ; {
		cmd := exec.CommandContext(ctx, filepath.Join(c.tools, "kube-up"), c.dir)
		cmd.Env = c.environ
		out, err := cmd.CombinedOutput()
		if err == nil {
			return nil
		}
		if !bytes.Contains(out, []byte(tooSlow)) || time.Now().After(end) || ctx.Err() != nil {
			return fmt.Errorf("kube-up: %w: %s", err, oneLine(string(out)))
		}
	}
}

// ports are those of the API server and the registry, which stay as long as the
// cluster runs, and where they are free, longer.
func (c *KubernetesCluster) ports() ([]string, error) {
	file := filepath.Join(c.dir, "ports")
	if text, err := os.ReadFile(file); err == nil && (exists(filepath.Join(c.dir, "pids", "node.pid")) || allFree(strings.Fields(string(text)))) {
		return strings.Fields(string(text)), nil
	}
	var ports []string
	for range 2 {
		port, release, err := ReservePort()
		if err != nil {
			return nil, err
		}
		defer release()
		ports = append(ports, strconv.Itoa(port))
	}
	return ports, os.WriteFile(file, []byte(strings.Join(ports, " ")), 0o644)
}

func allFree(ports []string) bool {
	for _, text := range ports {
		if port, err := strconv.Atoi(text); err != nil || !free(port) {
			return false
		}
	}
	return true
}

// push gives the registry an image with the files of root, unless it is there.
func (c *KubernetesCluster) push(ctx context.Context, called, root string) error {
	to, err := name.NewTag(called)
	if err != nil {
		return err
	}
	once := &http.Transport{DisableKeepAlives: true}
	if _, err := remote.Head(to, remote.WithContext(ctx), remote.WithTransport(once)); err == nil {
		return nil
	}
	layer, err := tarball.LayerFromFile(root)
	if err != nil {
		return err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return err
	}
	return remote.Write(to, image, remote.WithContext(ctx), remote.WithTransport(once))
}

// makeNamespace makes the namespace of this process.
func (c *KubernetesCluster) makeNamespace(ctx context.Context) error {
	_, err := c.Run(ctx, fmt.Sprintf(`{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": %q, "labels": {%q: "yes"}}}`, c.Namespace, namespaceLabel), "create", "-f", "-")
	if err != nil {
		return err
	}
	_, err = c.Run(ctx, "", "wait", "--for=create", "serviceaccount/default", "-n", c.Namespace, "--timeout=60s")
	return err
}

// Kubectl is Run for what must succeed.
func (c *KubernetesCluster) Kubectl(t testing.TB, input string, args ...string) string {
	t.Helper()
	out, err := c.Run(t.Context(), input, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Run runs kubectl in the namespace and gives what it says.
func (c *KubernetesCluster) Run(ctx context.Context, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(c.tools, "bin", "kube"), append([]string{"kubectl", "--kubeconfig", c.Kubeconfig, "-n", c.Namespace}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, oneLine(said.String()))
	}
	return out.String(), nil
}

// Crash kills a daemon of the node, such as "kube-apiserver".
func (c *KubernetesCluster) Crash(t testing.TB, daemon string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir, "pids", daemon+".pid"))
	var pid int
	if err == nil {
		pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
	}
	var process *os.Process
	if err == nil {
		process, err = os.FindProcess(pid)
	}
	if err == nil {
		err = process.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Mend starts what was killed.
func (c *KubernetesCluster) Mend(t testing.TB) {
	t.Helper()
	if err := c.up(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// stop ends this process's use of the cluster.
func (c *KubernetesCluster) stop() error {
	ctx := context.Background()
	cache, err := openCache()
	if err != nil {
		return err
	}
	unlock, err := cache.lock(ctx, c.lock)
	if err != nil {
		return err
	}
	defer unlock()
	_, err = c.Run(ctx, "", "delete", "namespace", "--wait=false", c.Namespace)
	return errors.Join(err, c.down())
}

// down ends the cluster unless another process uses it.
func (c *KubernetesCluster) down() error {
	last, err := false, c.use.Unlock()
	if err == nil {
		last, err = c.use.TryLock()
	}
	if !last || err != nil {
		return errors.Join(err, c.use.Close())
	}
	cmd := exec.Command(filepath.Join(c.tools, "kube-down"), c.dir)
	cmd.Env = c.environ
	if out, failed := cmd.CombinedOutput(); failed != nil {
		err = fmt.Errorf("kube-down: %w: %s", failed, oneLine(string(out)))
	} else if strings.HasPrefix(filepath.Base(c.dir), alone) {
		err = os.RemoveAll(c.dir)
	}
	return errors.Join(err, c.use.Close())
}
