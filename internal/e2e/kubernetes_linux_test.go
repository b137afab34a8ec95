package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend/kubernetes"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/internal/testenv"
)

// clustered is a namespace of a real Kubernetes, in which nothing else is.
func clustered(t *testing.T, _ place) *site {
	cluster, on := testenv.Kubernetes(t), onCluster(t)
	on.Namespace = ownNamespace(t, cluster)
	return &site{config: on, lists: func(t *testing.T) []string {
		return strings.Fields(cluster.Kubectl(t, "", "get", "jobs,pods,secrets,services", "-n", on.Namespace, "-o", "name"))
	}}
}

func onCluster(t *testing.T) kubernetes.Target {
	cluster := testenv.Kubernetes(t)
	kubeconfig, err := os.ReadFile(cluster.Kubeconfig)
	require.NoError(t, err)
	return kubernetes.Target{Kubeconfig: kubeconfig, Namespace: cluster.Namespace, Image: cluster.Image}
}

// hostFolder has pods see a folder of this machine, which is that of the node, at its path.
func hostFolder(dir string) (patch string) {
	return fmt.Sprintf("spec: {volumes: [{name: host, hostPath: {path: %[1]s}}], containers: [{name: job, volumeMounts: [{name: host, mountPath: %[1]s}]}]}", dir)
}

// withWheels is a namespace whose pods see a folder of packages: they have no network
// to get any by.
func withWheels(t *testing.T, dir string) compute.Config {
	on := onCluster(t)
	cluster := testenv.Kubernetes(t)
	on.Registry = cluster.Registry + "/azml-test/scripts-" + cluster.Namespace
	on.PodPatch = `spec:
  volumes: [{name: wheels, hostPath: {path: ` + dir + `}}]
  containers: [{name: job, volumeMounts: [{name: wheels, mountPath: /wheels, readOnly: true}]}]`
	return on
}

// fromWheels downloads the packages of an environment into the folder, and gives the
// environment that is made of those.
func fromWheels(t *testing.T, dir string, env environment.Spec) environment.Spec {
	t.Helper()
	const pythonOfImage = "3.11"
	args := append([]string{"-m", "pip", "download", "--quiet", "--only-binary=:all:", "--python-version", pythonOfImage, "--dest", dir}, env.Python.Pip...)
	out, err := exec.CommandContext(t.Context(), testenv.Python(t), args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	env.Python.PipOptions = append(slices.Clone(env.Python.PipOptions), "--no-index", "--find-links /wheels")
	return env
}
