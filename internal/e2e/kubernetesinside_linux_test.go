package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/testenv"
)

// inside is a pod that uses the cluster it is in, as the manual's account. It has no way to
// registries, and says at the end how a run went.
const inside = `
apiVersion: v1
kind: Pod
metadata: {name: inside}
spec:
  serviceAccountName: azml
  restartPolicy: Never
  volumes: [{name: azml, hostPath: {path: %[1]s}}]
  containers:
  - name: inside
    image: %[2]s
    env: [{name: HOME, value: /tmp}]
    volumeMounts: [{name: azml, mountPath: /azml, readOnly: true}]
    command:
    - sh
    - -ec
    - |
      mkdir /tmp/src /tmp/work; cd /tmp/work; export PATH=/azml:$PATH
      echo 'echo from a pod' > /tmp/src/run.sh
      azml init .
      azml compute attach kubernetes k8s --in-cluster --image %[2]s
      azml compute doctor k8s --try
      azml run submit -e inside -s /tmp/src --compute k8s --command -- sh run.sh
`

// TestInsideOfKubernetes has azml in a pod check the cluster that it is in, and submit a run
// to it, with nothing but the manual's account: the namespace is the pod's.
func TestInsideOfKubernetes(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	namespace := ownNamespace(t, cluster)
	manual, err := os.ReadFile("../../docs/kubernetes.md")
	require.NoError(t, err)
	account := regexp.MustCompile("(?s)```yaml\n(apiVersion.*?)```").FindSubmatch(manual)
	require.NotNil(t, account, "the manual has the manifest")
	cluster.Kubectl(t, string(account[1]), "apply", "-n", namespace, "-f", "-")
	file, err := programs()
	require.NoError(t, err)
	cluster.Kubectl(t, fmt.Sprintf(inside, filepath.Dir(file), cluster.Image), "apply", "-n", namespace, "-f", "-")
	said := cluster.Kubectl(t, "", "logs", "-f", "inside", "-n", namespace, "--pod-running-timeout=300s")
	_, err = cluster.Run(t.Context(), "", "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/inside", "-n", namespace, "--timeout=60s")
	require.NoError(t, err, said)
	require.Contains(t, said, "from a pod\n")
	cluster.Kubectl(t, "", "delete", "pod", "inside", "-n", namespace)
	nothingIn(t, cluster, namespace)
}
