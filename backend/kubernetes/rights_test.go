package kubernetes_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/testenv"
)

// account makes the account of the manual and gives a kubeconfig as it.
func account(t *testing.T, cluster *testenv.KubernetesCluster) []byte {
	manual, err := os.ReadFile("../../docs/kubernetes.md")
	require.NoError(t, err)
	manifest := regexp.MustCompile("(?s)```yaml\n(apiVersion.*?)```").FindSubmatch(manual)
	require.NotNil(t, manifest, "the manual has the manifest")
	cluster.Kubectl(t, string(manifest[1]), "apply", "-f", "-")
	token := strings.TrimSpace(cluster.Kubectl(t, "", "create", "token", "azml"))
	kubeconfig, err := os.ReadFile(cluster.Kubeconfig)
	require.NoError(t, err)
	own := regexp.MustCompile(`client-(certificate|key)-data: \S+`).ReplaceAllString(string(kubeconfig), "")
	return []byte(regexp.MustCompile(`(?m)^( *)user:[ \t]*$`).ReplaceAllString(own, "${1}user:\n${1}  token: "+token))
}

// TestRights has the account of the manual do what jobs need, and nothing else.
func TestRights(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kubernetes(t)
	p := place(t, cluster)
	p.Kubeconfig = account(t, cluster)
	p.Target.Registry = cluster.Registry + "/azml-test/rights-" + cluster.Namespace
	d := open(t, p)
	require.NoError(t, d.Check(t.Context()))
	s, out := finish(t, d, backend.Job{ID: "a", Dir: "/", Input: []byte("word"), Command: []string{"/bin/cat"}})
	require.Zero(t, s.ExitCode)
	require.Equal(t, "word", out)
	made, err := d.BuildImage(t.Context(), backend.ImageRecipe{Hash: "e1", Base: cluster.Image, Setup: "touch /opt/made"}, os.Stderr)
	require.NoError(t, err)
	require.NoError(t, d.RemoveImage(t.Context(), made.Hash))

	cluster.Kubectl(t, "", "create", "serviceaccount", "nobody")
	may, anybody := rights(t, cluster, "azml"), rights(t, cluster, "nobody")
	require.Equal(t, []string{"events [list watch]", "jobs.batch [create get list patch delete]", "pods [get list watch delete]",
		"pods/exec [create get]", "pods/log [get]", "secrets [create delete]", "services [create]"},
		slices.DeleteFunc(may, func(right string) bool { return slices.Contains(anybody, right) }))
	for _, other := range [][]string{{"get", "secrets"}, {"list", "secrets"}, {"create", "pods"}, {"get", "nodes"}, {"get", "pods", "-n", "kube-system"}} {
		_, err := cluster.Run(t.Context(), "", append([]string{"auth", "can-i", "--as=system:serviceaccount:" + cluster.Namespace + ":azml"}, other...)...)
		require.Error(t, err, "%s", other)
	}

	token := strings.TrimSpace(cluster.Kubectl(t, "", "create", "token", "nobody"))
	p.Kubeconfig = regexp.MustCompile(`token: \S+`).ReplaceAll(p.Kubeconfig, []byte("token: "+token))
	weak, err := p.driver()
	require.NoError(t, err)
	defer weak.Close()
	require.ErrorIs(t, weak.Check(t.Context()), azml.ErrDenied)
	require.ErrorContains(t, weak.Check(t.Context()), "create jobs, get jobs")
	require.ErrorIs(t, weak.Start(t.Context(), backend.Job{ID: "b", Dir: "/", Command: []string{"/bin/true"}}), azml.ErrDenied)
}

// rights lists what an account may do in the namespace.
func rights(t *testing.T, cluster *testenv.KubernetesCluster, account string) []string {
	var may []string
	for line := range strings.Lines(cluster.Kubectl(t, "", "auth", "can-i", "--list", "--no-headers", "--as=system:serviceaccount:"+cluster.Namespace+":"+account)) {
		resource, _, _ := strings.Cut(line, " ")
		may = append(may, resource+" "+strings.TrimSpace(line[strings.LastIndex(line, "["):]))
	}
	slices.Sort(may)
	return may
}
