//go:build linux

package keeper_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/kubernetes"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/keeper"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/workspace"
)

// queues are a queue of Kueue without a processor, and a namespace for runs that wait for a
// quota.
const queues = `
apiVersion: kueue.x-k8s.io/v1beta2
kind: ResourceFlavor
metadata: {name: default}
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: ClusterQueue
metadata: {name: team}
spec:
  namespaceSelector: {}
  resourceGroups: [{coveredResources: [cpu], flavors: [{name: default, resources: [{name: cpu, nominalQuota: 0}]}]}]
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: LocalQueue
metadata: {name: team}
spec: {clusterQueue: team}
---
apiVersion: v1
kind: Namespace
metadata: {name: full}
`

// TestRoomIsWaitedFor has runs wait for a real queue and a real quota for longer than they
// may take to begin: those to which that is nobody's wish complete when there is room, or
// are canceled, the others have Failed, and nothing is left of any.
func TestRoomIsWaitedFor(t *testing.T) {
	t.Parallel()
	cluster := testenv.Kueue(t)
	cluster.Kubectl(t, queues, "apply", "-f", "-")
	cluster.Kubectl(t, "", "create", "quota", "pods", "--hard=pods=0", "-n", "full")
	for name, c := range map[string]struct {
		change func(*kubernetes.Target)
		says   string
		room   []string // kubectl makes
	}{
		"queue": {func(k *kubernetes.Target) { k.Queue, k.Requests = "team", map[string]string{"cpu": "100m"} },
			"compute target k8s: it waits for the queue team: .*insufficient quota for cpu", []string{"patch", "clusterqueue", "team", "--type=json", "-p",
				`[{"op": "replace", "path": "/spec/resourceGroups/0/flavors/0/resources/0/nominalQuota", "value": "1"}]`}},
		"quota": {func(k *kubernetes.Target) { k.Namespace = "full" },
			"compute target k8s: it waits for its pod: .*exceeded quota: pods", []string{"patch", "quota", "pods", "-n", "full", "--type=merge", "-p", `{"spec": {"hard": {"pods": "1"}}}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kubeconfig, err := os.ReadFile(cluster.Kubeconfig)
			require.NoError(t, err)
			on := kubernetes.Target{Kubeconfig: kubeconfig, Namespace: cluster.Namespace, Image: cluster.Image}
			c.change(&on)
			h, template := atKubernetes(t, on)
			patient, named, unwanted := begin(t, h, template, "patient", true), begin(t, h, template, "named", false), begin(t, h, template, "unwanted", true)
			require.Eventually(t, func() bool {
				r, err := history.Get(t.Context(), h, "unwanted")
				return err == nil && (r.Value.Status.Terminal() || strings.HasPrefix(r.Value.WaitsFor, "compute target k8s: it waits for "))
			}, 5*time.Minute, 100*time.Millisecond)
			require.Equal(t, record.Starting, get(t, h, "unwanted").Status, get(t, h, "unwanted").Reason)
			_, err = history.Transition(t.Context(), h, "unwanted", history.Step{To: record.CancelRequested})
			require.NoError(t, err)
			require.NoError(t, <-unwanted)
			require.Equal(t, record.Canceled, get(t, h, "unwanted").Status)
			require.ErrorContains(t, <-named, "it did not begin within "+toBegin.String())
			require.Equal(t, record.Failed, get(t, h, "named").Status)
			require.Regexp(t, "it did not begin within .*: "+strings.TrimPrefix(c.says, "compute target k8s: "), get(t, h, "named").Reason)

			r := get(t, h, "patient")
			require.Equal(t, record.Starting, r.Status)
			require.Regexp(t, c.says, r.WaitsFor)
			cluster.Kubectl(t, "", c.room...)
			require.NoError(t, <-patient)
			require.Equal(t, record.Completed, get(t, h, "patient").Status, get(t, h, "patient").Reason)
			require.Eventually(t, func() bool {
				return cluster.Kubectl(t, "", "get", "jobs,pods,secrets,workloads", "-n", on.Namespace, "-o", "name") == ""
			}, 5*time.Minute, 100*time.Millisecond, "something is left")
		})
	}
}

// toBegin is what the agents of those runs have to begin.
const toBegin = time.Minute

// atKubernetes opens a workspace with the target "k8s", and gives a run of the command "true",
// which was elsewhere.
func atKubernetes(t *testing.T, on kubernetes.Target) (h core.Handle, template record.Run) {
	t.Helper()
	dir := t.TempDir()
	file, err := azmlProgram()
	require.NoError(t, err)
	opts := workspacetest.Options(dir)
	opts.Computes, opts.Program = []backend.ComputeDriver{kubernetes.Kind{}}, file
	ws, err := workspace.Open(t.Context(), filepath.Join(dir, "ws"), opts)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		require.NoError(t, ws.Close(ctx))
	})
	_, err = ws.Compute().Create(t.Context(), "k8s", on, nil)
	require.NoError(t, err)
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "e", nil)
	require.NoError(t, err)
	there, err := exp.Submit(t.Context(), experiment.ScriptRunConfig{Source: t.TempDir(), Command: []string{"true"},
		Environment: environment.Spec{Python: environment.Python{UserManaged: true, InterpreterPath: "python3"}}}, nil)
	require.NoError(t, err)
	require.NoError(t, there.Wait(t.Context(), nil))
	h = workspace.Handle(ws)
	return h, get(t, h, there.ID())
}

// begin keeps a new run there, and tells how that ended.
func begin(t *testing.T, h core.Handle, template record.Run, id string, waitsForRoom bool) <-chan error {
	t.Helper()
	a, token := keeper.NewAgent()
	me, definition := h.Owner(), *template.Definition
	definition.Compute, definition.MaxStart, definition.WaitsForRoom = "k8s", int64(toBegin.Seconds()), waitsForRoom
	_, err := history.Create(t.Context(), h, record.Run{ID: id, Experiment: "e", Status: record.Starting, Owner: &me, Agent: a, Snapshot: template.Snapshot, Definition: &definition})
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		ended <- keeper.Start(t.Context(), h, agent.Instructions{RunID: id, Token: token, Owner: me.ID})
	}()
	return ended
}

func get(t *testing.T, h core.Handle, id string) record.Run {
	t.Helper()
	stored, err := history.Get(t.Context(), h, id)
	require.NoError(t, err)
	return stored.Value
}
