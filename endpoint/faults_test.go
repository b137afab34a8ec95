package endpoint_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/workspace"
)

// outage makes stores not answer while it lasts.
type outage struct{ atomic.Bool }

func (o *outage) err() error {
	if o.Load() {
		return fmt.Errorf("%w: the store is down", azml.ErrUnavailable)
	}
	return nil
}

type failingObjects struct {
	backend.Objects
	*outage
}

func (f failingObjects) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	if err := f.err(); err != nil {
		return nil, err
	}
	return f.Objects.Get(ctx, key, opts)
}

func (f failingObjects) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	if err := f.err(); err != nil {
		return backend.Info{}, err
	}
	return f.Objects.Put(ctx, key, content, opts)
}

func (f failingObjects) Append(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
	if err := f.err(); err != nil {
		return backend.Info{}, err
	}
	return f.Objects.Append(ctx, key, offset, data)
}

func (f failingObjects) Stat(ctx context.Context, key string) (backend.Info, error) {
	if err := f.err(); err != nil {
		return backend.Info{}, err
	}
	return f.Objects.Stat(ctx, key)
}

func (f failingObjects) Delete(ctx context.Context, key string, opts *backend.DeleteOptions) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.Objects.Delete(ctx, key, opts)
}

func (f failingObjects) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	if err := f.err(); err != nil {
		return func(yield func(backend.Info, error) bool) { yield(backend.Info{}, err) }
	}
	return f.Objects.List(ctx, opts)
}

type failingSecrets struct {
	backend.Secrets
	*outage
}

func (f failingSecrets) Get(ctx context.Context, name string) (string, error) {
	if err := f.err(); err != nil {
		return "", err
	}
	return f.Secrets.Get(ctx, name)
}

// pids is a script that answers with its process ID.
const pids = "import os\ndef init(): pass\ndef run(data): return os.getpid()\n"

// scored sends requests and gives the process that answered last.
func scored(t *testing.T, url, body string, n int) (pid int) {
	t.Helper()
	for range n {
		code, answer, _ := ask(t, "POST", url, "test-key", body)
		require.Equal(t, 200, code, answer)
		require.NoError(t, json.Unmarshal([]byte(answer), &pid))
	}
	return pid
}

// replaced ends a replica and waits until another process answers; no request fails.
func replaced(t *testing.T, url string) {
	t.Helper()
	before := scored(t, url, "1", 1)
	process, err := os.FindProcess(before)
	require.NoError(t, err)
	require.NoError(t, process.Kill())
	eventually(t, func() bool { return scored(t, url, "1", 1) != before }, "another process answers")
}

// TestStoresAreDown: scoring goes on without object store and secret store, replicas
// are started again, what can't be collected is dropped and counted, and what was
// changed is followed when the stores are back.
func TestStoresAreDown(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	down := &outage{}
	objects, secrets := memory.NewObjects(), memory.NewSecrets()
	config := workspace.Config{Name: "outage", Objects: failingObjects{objects, down}, Secrets: failingSecrets{secrets, down}, CacheDir: t.TempDir()}
	ws, err := workspace.Create(ctx, config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ws.Close(context.Background())) })
	ep := deploy(t, ws, "svc", endpoint.Config{Script: script(t, pids), MaxQueueWait: 20e9,
		Collect: &endpoint.Collection{Percent: map[string]float64{"request": 100}}}, &endpoint.DeployOptions{PrimaryKey: "test-key"})
	scored(t, ep.ScoringURI(), "1", 5)
	down.Store(true)
	replaced(t, ep.ScoringURI())
	const row = 1 << 20
	scored(t, ep.ScoringURI(), `"`+strings.Repeat("x", row)+`"`, 20) // 16 MiB are kept
	scored(t, ep.ScoringURI(), "1", 50)
	code, _, _ := ask(t, "POST", ep.ScoringURI(), "wrong", "1")
	require.Equal(t, 401, code, "keys are still held to")
	down.Store(false)

	other, err := workspace.New(ctx, workspace.Config{Objects: objects, Secrets: secrets, CacheDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, other.Close(context.Background())) })
	remote, err := other.Endpoints().Get(ctx, "svc", nil)
	require.NoError(t, err)
	_, err = remote.RegenerateKey(ctx, endpoint.SecondaryKey, "another-key")
	require.NoError(t, err)
	code, _, _ = ask(t, "POST", ep.ScoringURI(), "another-key", "1")
	require.Equal(t, 200, code, "changes are followed again")
	require.Eventually(t, func() bool {
		if remote.Refresh(ctx) != nil || len(remote.Details().Hosts[0].Deployments) == 0 {
			return false
		}
		d := remote.Details().Hosts[0].Deployments[0]
		return d.Collected > 0 && d.CollectDropped >= 3 && d.Requests >= 70 && d.Failures == 0
	}, 60e9, 50e6, "the drops are counted, and nothing has failed")
	require.NoError(t, ep.Stop(ctx))
	statuses := map[int]int{}
	log, err := remote.Logs(ctx, &endpoint.LogsOptions{Requests: true})
	require.NoError(t, err)
	for lines := bufio.NewScanner(log); lines.Scan(); {
		var line struct{ Status int }
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line), lines.Text())
		statuses[line.Status]++
	}
	require.NoError(t, log.Close())
	require.Equal(t, 1, statuses[401], "requests of that time are in the log: %v", statuses)
	require.Greater(t, statuses[200], 75)
}

// TestDiskIsFull: scoring goes on when the disk of the workspace is full, and replicas
// are started again; what can't be deployed is an error and leaves what is served.
func TestDiskIsFull(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	disk := testenv.SmallDisk(t, 32<<20)
	ws := reopen(t, disk)
	s := script(t, pids)
	ep := deploy(t, ws, "svc", endpoint.Config{Script: s, MaxQueueWait: 20e9}, &endpoint.DeployOptions{PrimaryKey: "test-key"})
	scored(t, ep.ScoringURI(), "1", 5)
	empty := workspacetest.Fill(t, disk)
	scored(t, ep.ScoringURI(), "1", 50)
	replaced(t, ep.ScoringURI())
	file(t, s.Source, "more.txt", strings.Repeat("x", 1<<20))
	_, err := ws.Endpoints().Propose(ctx, "svc", endpoint.Config{Script: s}, &endpoint.DeployOptions{Overwrite: true})
	require.ErrorIs(t, err, azml.ErrUnavailable)
	require.ErrorContains(t, err, "no space left")
	scored(t, ep.ScoringURI(), "1", 5)
	empty()
	before := scored(t, ep.ScoringURI(), "1", 1)
	ep = deploy(t, ws, "svc", endpoint.Config{Script: s}, &endpoint.DeployOptions{Overwrite: true})
	require.NotEqual(t, before, scored(t, ep.ScoringURI(), "1", 1))
}
