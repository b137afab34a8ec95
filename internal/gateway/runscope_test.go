package gateway_test

import (
	"errors"
	"iter"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/gateway"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/rundata"
)

// story is a workspace with a run, and others that it must not reach.
type story struct {
	h             core.Handle
	objects       *memory.Objects
	secrets       backend.Secrets
	mine, foreign record.Run
	client        *gateway.Client
}

func newStory(t *testing.T) *story {
	t.Helper()
	s := &story{objects: memory.NewObjects(), secrets: memory.NewSecrets()}
	s.h = core.New(core.Config{Objects: s.objects, Secrets: s.secrets, CacheDir: t.TempDir(), Workspace: record.Workspace{ID: "w", Name: "w"}})
	t.Cleanup(func() { require.NoError(t, s.h.Close(t.Context())) })
	_, err := core.Create(t.Context(), s.h, history.ExperimentRef("e"), record.Experiment{ID: "x", Name: "e"})
	require.NoError(t, err)
	s.mine, s.foreign = s.newRun(t, "mine", ""), s.newRun(t, "foreign", "")
	for _, name := range []string{"given", "other"} {
		require.NoError(t, s.secrets.Set(t.Context(), name, "value"))
	}
	address := serve(t, s.objects, s.secrets, gateway.NewRunScope(s.h, s.mine, rundata.NewScope(s.h, s.mine)))
	s.client = dial(t, address, token)
	return s
}

func (s *story) newRun(t *testing.T, id, madeIn string) record.Run {
	t.Helper()
	stored, err := history.Create(t.Context(), s.h, record.Run{ID: id, Experiment: "e", Status: record.Running, MadeIn: madeIn,
		Definition: &record.Definition{Secrets: []string{"given"}, Environment: record.EnvironmentRef{Name: "env", Version: "1"}}})
	require.NoError(t, err)
	return stored.Value
}

// TestForeignKeys sends keys that are not the run's through every call.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	ctx := t.Context()
	for _, key := range []string{
		"runs/foreign/run.json", "runs/foreign/heartbeat-" + s.foreign.Life + ".json", "runs/foreign/logs-" + s.foreign.Life + "/x",
		"runs/foreign/metrics-" + s.foreign.Life + "/a-1.seg", "runs/mine/logs-0123456789abcdef/x", "runs/none/logs-0123456789abcdef/x",
		"experiments/other.json", "experiments/other/runs/0000000001.json", "environments/other/1.json", "environments/env/2.json",
		"compute/box.json", "datastores/d.json", "data/file", "tokens/0123456789abcdef.json", "endpoints/x.json", "datasets/d/0000000001.json",
		"dataset-definitions/x.json", "probe-x", "new.json",
	} {
		if _, err := s.objects.Stat(ctx, key); errors.Is(err, azml.ErrNotFound) {
			_, err := s.objects.Put(ctx, key, strings.NewReader("{}"), &backend.PutOptions{})
			require.NoError(t, err)
		}
		before, err := s.objects.Stat(ctx, key)
		require.NoError(t, err)
		missing := strings.HasPrefix(key, "runs/none/") // of a run without a record nothing is told
		if _, err := s.client.Get(ctx, key, &backend.GetOptions{}); !missing {
			require.ErrorIs(t, err, azml.ErrDenied, "get %s", key)
		}
		if _, err := s.client.Stat(ctx, key); !missing {
			require.ErrorIs(t, err, azml.ErrDenied, "stat %s", key)
		}
		for _, opts := range []backend.PutOptions{{}, {IfNoneMatch: true}, {IfMatch: before.ETag}} {
			_, err = s.client.Put(ctx, key, strings.NewReader("{}"), &opts)
			require.ErrorIs(t, err, azml.ErrDenied, "put %s %+v", key, opts)
		}
		_, err = s.client.Append(ctx, key, before.Size, []byte("x"))
		require.ErrorIs(t, err, azml.ErrDenied, "append %s", key)
		require.ErrorIs(t, s.client.Delete(ctx, key, &backend.DeleteOptions{}), azml.ErrDenied, "delete %s", key)
		after, err := s.objects.Stat(ctx, key)
		require.NoError(t, err)
		require.Equal(t, before, after, key)
		for _, prefix := range []string{"", key, key[:strings.LastIndexByte(key, '/')+1]} {
			require.NotContains(t, listed(t, s.client.List(ctx, &backend.ListOptions{Prefix: prefix})), key, "list %q", prefix)
		}
	}
	_, err := s.client.Secrets().Get(ctx, "other")
	require.ErrorIs(t, err, azml.ErrDenied)
	value, err := s.client.Secrets().Get(ctx, "GIVEN")
	require.NoError(t, err)
	require.Equal(t, "value", value)
}

func listed(t *testing.T, list iter.Seq2[backend.Info, error]) (keys []string) {
	t.Helper()
	for info, err := range list {
		require.NoError(t, err)
		keys = append(keys, info.Key)
	}
	return keys
}

// TestSharedKeys are what a run adds to, and must not change or remove.
func TestSharedKeys(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	ctx := t.Context()
	for _, key := range []string{"files/packs/a.pack", "files/manifests/a.json", "experiments/e/runs/0000000009.json"} {
		_, err := s.objects.Put(ctx, key, strings.NewReader("old"), &backend.PutOptions{})
		require.NoError(t, err)
		_, err = s.client.Put(ctx, key, strings.NewReader("new"), &backend.PutOptions{})
		require.ErrorIs(t, err, azml.ErrDenied, key)
		_, err = s.client.Put(ctx, key, strings.NewReader("old"), &backend.PutOptions{})
		require.NoError(t, err, "the same once more")
		_, err = s.client.Put(ctx, key+"2", strings.NewReader("new"), &backend.PutOptions{})
		require.NoError(t, err)
		require.ErrorIs(t, s.client.Delete(ctx, key, &backend.DeleteOptions{}), azml.ErrDenied)
	}
	_, err := s.client.Put(ctx, "files/condemned.json", strings.NewReader("{}"), &backend.PutOptions{})
	require.ErrorIs(t, err, azml.ErrDenied)
	for _, key := range []string{"models/m.json", "models/m/0000000001.json"} {
		_, err := s.client.Put(ctx, key, strings.NewReader("{}"), &backend.PutOptions{})
		require.ErrorIs(t, err, azml.ErrDenied, "without a condition")
		_, err = s.client.Put(ctx, key, strings.NewReader("{}"), &backend.PutOptions{IfNoneMatch: true})
		require.NoError(t, err)
		require.ErrorIs(t, s.client.Delete(ctx, key, &backend.DeleteOptions{}), azml.ErrDenied)
	}
}

// TestOwnKeys are what an agent does, through the packages that do it.
func TestOwnKeys(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	ctx := t.Context()
	far := core.New(core.Config{Objects: s.client, Secrets: s.client.Secrets(), CacheDir: t.TempDir(), Workspace: s.h.Workspace(), Logger: slog.New(slog.DiscardHandler)})
	defer func() { require.NoError(t, far.Close(ctx)) }()
	require.NoError(t, history.Beat(ctx, far, s.mine))
	require.ErrorIs(t, history.Beat(ctx, far, s.foreign), azml.ErrDenied)
	child, err := history.Create(ctx, far, record.Run{ID: "child", Experiment: "e", Status: record.Running, MadeIn: "mine"})
	require.NoError(t, err)
	require.NoError(t, history.Beat(ctx, far, child.Value))
	_, err = history.Create(ctx, far, record.Run{ID: "stranger", Experiment: "e", Status: record.Running})
	require.ErrorIs(t, err, azml.ErrDenied)
	_, err = history.Update(ctx, far, "child", core.Quiet, func(r *record.Run) error { r.MadeIn = ""; return nil })
	require.ErrorIs(t, err, azml.ErrDenied, "a run is not given away")
	_, err = history.Transition(ctx, far, "mine", history.Step{To: record.Completed})
	require.NoError(t, err)
	keys := listed(t, s.client.List(ctx, &backend.ListOptions{Prefix: "runs/"}))
	require.Contains(t, keys, "runs/mine/run.json")
	require.Contains(t, keys, "runs/child/run.json")
	require.NotContains(t, keys, "runs/foreign/run.json")
}
