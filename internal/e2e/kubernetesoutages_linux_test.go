package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/kubernetes"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// outage is a run in a cluster of the test's own, which counts in a folder of this machine.
type outage struct {
	cluster *testenv.KubernetesCluster
	ws      *workspace.Workspace
	site    *site
	r       *run.Run
}

// TestOutagesOfKubernetes have the API server, the kubelet and the node go away while runs
// log: what comes back costs them nothing, and what does not is the reason of their end.
// That a pod is lost TestHowKubernetesEndsRuns shows.
func TestOutagesOfKubernetes(t *testing.T) {
	t.Parallel()
	cluster := testenv.KubernetesAlone(t)
	t.Run("API server", func(t *testing.T) {
		o := counts(t, cluster)
		cluster.Crash(t, "kube-apiserver")
		o.goesOn(t)
		cluster.Mend(t)
		o.end(t)
		o.completes(t)
		o.site.requireNothing(t, o.r)
	})
	t.Run("kubelet and node", func(t *testing.T) {
		ends, stays := counts(t, cluster), counts(t, cluster)
		cluster.Crash(t, "kubelet")
		ends.goesOn(t)
		ends.end(t)
		cluster.Mend(t)
		ends.completes(t)

		cluster.Crash(t, "kubelet")
		cluster.Kubectl(t, "", "delete", "node", "node")
		cluster.Kubectl(t, "", "wait", "--for=delete", "pods", "--all", "--timeout=300s")
		cluster.Mend(t) // with another node of the name, on which nothing is
		require.ErrorIs(t, stays.r.Wait(t.Context(), nil), azml.ErrFailed)
		require.Regexp(t, "its agent on k8s is gone: .*(node no longer exists|its pod is gone)", stays.r.Details().Error.Message)
		require.Positive(t, series(t, stays.r, "n", 0), "what was taken is kept")
		require.True(t, strings.HasPrefix(outputOf(t, stays.r), "0\n1\n"))
		stays.site.requireNothing(t, stays.r) // nor of the other one, which is in the same namespace
	})
}

// counts begins such a run, which has said something.
func counts(t *testing.T, cluster *testenv.KubernetesCluster) *outage {
	t.Helper()
	kubeconfig, err := os.ReadFile(cluster.Kubeconfig)
	require.NoError(t, err)
	o := &outage{cluster: cluster, ws: newPlace(t).openFor(t), site: &site{shared: sharedFolder(t)}}
	o.site.lists = func(t *testing.T) []string {
		return strings.Fields(cluster.Kubectl(t, "", "get", "jobs,pods,secrets,services", "-o", "name"))
	}
	on := kubernetes.Target{Kubeconfig: kubeconfig, Namespace: cluster.Namespace, Image: cluster.Image, PodPatch: hostFolder(o.site.shared)}
	_, err = o.ws.Compute().Create(t.Context(), "k8s", on, nil)
	require.NoError(t, err)
	o.r = target{compute: "k8s"}.begin(t, o.ws, counting, func(c *experiment.ScriptRunConfig) { c.Variables = map[string]string{"PLACE": o.site.shared} })
	hears(t, o.r, "1\n")
	require.Eventually(t, func() bool { return series(t, o.r, "n", 0) > 0 }, time.Minute, 20*time.Millisecond, "what it logs is there")
	return o
}

// goesOn waits until the script has counted on for a while.
func (o *outage) goesOn(t *testing.T) {
	t.Helper()
	at := func() (n int) {
		text, err := os.ReadFile(filepath.Join(o.site.shared, "at"))
		require.NoError(t, err)
		_, _ = fmt.Sscan(string(text), &n) // nothing, while it is written
		return n
	}
	began := at()
	require.Eventually(t, func() bool { return at() > began+20 }, time.Minute, 50*time.Millisecond)
}

// end has the script end.
func (o *outage) end(t *testing.T) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(o.site.shared, "go"), nil, 0o600))
}

// completes checks that the run does, that all it said is there once, and nothing else.
func (o *outage) completes(t *testing.T) {
	t.Helper()
	require.NoError(t, o.r.Wait(t.Context(), nil))
	require.Equal(t, run.StatusCompleted, o.r.Status())
	counted(t, o.r, o.site)
	clean(t, o.ws)
}
