package endpoint_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/internal/testenv"
)

// script is a scoring script that needs nothing but Python.
func script(t *testing.T, source string) *endpoint.Script {
	t.Helper()
	dir := t.TempDir()
	file(t, dir, "score.py", source)
	return &endpoint.Script{Source: dir, EntryScript: "score.py", Variables: map[string]string{"MINE": "variable"},
		Environment: environment.Spec{Python: environment.Python{UserManaged: true, InterpreterPath: testenv.Python(t)}}}
}

const scoring = `
import json, os
def init():
    global text
    text = open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "m.txt")).read()
    print("init was called")
def run(data):
    print("run was called")
    return {"model": text, "data": json.loads(data), "mine": os.environ["MINE"], "pid": os.getpid()}
`

func TestScript(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	ws := reopen(t, dir)
	m, err := ws.Models().Register(ctx, "m", file(t, t.TempDir(), "m.txt", "weights"), nil)
	require.NoError(t, err)
	ep := deploy(t, ws, "script", endpoint.Config{Model: m, Script: script(t, scoring), Replicas: 2}, nil)
	var answer struct {
		Model, Mine string
		Data        []int
		PID         int
	}
	require.NoError(t, ep.InvokeJSON(ctx, []int{1, 2}, &answer, nil))
	require.Equal(t, "weights", answer.Model)
	require.Equal(t, "variable", answer.Mine)
	require.Equal(t, []int{1, 2}, answer.Data)
	d := ep.Details().Current.Deployments[0]
	require.Equal(t, "script", d.Kind)
	require.Equal(t, 2, d.MinReplicas)
	require.Equal(t, 2, d.MaxReplicas)
	require.Equal(t, "default-environment:1", d.Environment)
	require.NoError(t, ep.Stop(ctx))
	require.Eventually(t, func() bool { return gone(answer.PID) }, 10*time.Second, 10*time.Millisecond, "no process is left")
	left, err := filepath.Glob(filepath.Join(dir, "cache", "endpoints", "*", "*"))
	require.NoError(t, err)
	require.Empty(t, left, "its working folder is removed")

	again, err := reopen(t, dir).Endpoints().Serve(ctx, "script", nil)
	require.NoError(t, err, "a script is served by whoever wants to")
	require.NoError(t, again.InvokeJSON(ctx, []int{3}, &answer, nil))
	require.Equal(t, []int{3}, answer.Data)
}

func gone(pid int) bool {
	_, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid)))
	return os.IsNotExist(err)
}

// A script that would not be in the snapshot is found out before anything is
// stored.
func TestScriptThatIsIgnored(t *testing.T) {
	t.Parallel()
	ws := open(t)
	s := script(t, scoring)
	file(t, s.Source, ".amlignore", s.EntryScript+"\n")
	_, err := ws.Endpoints().Propose(t.Context(), "script", endpoint.Config{Script: s}, nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.ErrorContains(t, err, ".amlignore:1")
	for env, err := range ws.Environments().List(t.Context(), nil) {
		require.NoError(t, err)
		t.Errorf("environment %s was created", env.ID())
	}
}

func TestScriptThatDoesNotStart(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	broken := script(t, "def init():\n    print('last words')\n    raise ValueError('no weights')\ndef run(data):\n    return 1\n")
	_, err := ws.Endpoints().Deploy(ctx, "broken", endpoint.Config{Script: broken}, nil)
	require.ErrorIs(t, err, azml.ErrFailed)
	for _, text := range []string{"phase init", "no weights", "last words"} {
		require.ErrorContains(t, err, text)
	}
	ep, err := ws.Endpoints().Get(ctx, "broken", nil)
	require.NoError(t, err)
	require.Equal(t, endpoint.StateFailed, ep.State())
	require.Contains(t, ep.Details().Error, "no weights")
	require.Empty(t, ep.URL())
	ep = deploy(t, ws, "broken", endpoint.Config{Script: script(t, "def init(): pass\ndef run(data): return 'well'\n")}, nil)
	answer, err := ep.Invoke(ctx, []byte("1"), nil)
	require.NoError(t, err)
	require.JSONEq(t, `"well"`, string(answer))
	require.Empty(t, ep.Details().Error)
}

// A key that is changed while the script comes up counts from the start.
func TestKeyChangedWhileTheScriptStarts(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	ws, other := reopen(t, dir), reopen(t, dir)
	flag := filepath.Join(t.TempDir(), "go-on")
	slow := script(t, "import os, time\ndef init():\n    while not os.path.exists(os.environ['FLAG']): time.sleep(0.01)\ndef run(data): return 1\n")
	slow.Variables = map[string]string{"FLAG": flag}
	deployed := make(chan *endpoint.Endpoint, 1)
	go func() {
		ep, err := ws.Endpoints().Deploy(ctx, "slow", endpoint.Config{Script: slow}, &endpoint.DeployOptions{PrimaryKey: "the-old-key"})
		if err != nil {
			t.Error(err)
		}
		deployed <- ep
	}()
	var ep *endpoint.Endpoint
	require.Eventually(t, func() (found bool) {
		var err error
		ep, err = other.Endpoints().Get(ctx, "slow", nil)
		workers, _ := filepath.Glob(filepath.Join(dir, "cache", "endpoints", "*", "slow-*", "source", "azureml-models"))
		return err == nil && ep.State() == endpoint.StateTransitioning && len(workers) > 0
	}, 20*time.Second, 10*time.Millisecond)
	changed := make(chan error, 1)
	go func() {
		_, err := ep.RegenerateKey(context.WithoutCancel(ctx), endpoint.PrimaryKey, "the-new-key")
		changed <- err
	}()
	require.Eventually(t, func() bool { keys, err := ep.Keys(ctx); return err == nil && keys.Primary == "the-new-key" }, 10*time.Second, 10*time.Millisecond)
	time.Sleep(300 * time.Millisecond) // the record follows the secret; nothing tells when
	require.NoError(t, os.WriteFile(flag, nil, 0o600))
	require.NotNil(t, <-deployed)
	require.NoError(t, <-changed)
	require.NoError(t, ep.Refresh(ctx))
	code, _, _ := ask(t, "POST", ep.ScoringURI(), "the-new-key", "1")
	require.Equal(t, 200, code)
	code, _, _ = ask(t, "POST", ep.ScoringURI(), "the-old-key", "1")
	require.Equal(t, 401, code)
}
