package e2e

import (
	"context"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// first gives the error of a list's first element.
func first[T any](list iter.Seq2[T, error]) error {
	for _, err := range list {
		return err
	}
	return nil
}

// failed drops the value of a call.
func failed[T any](_ T, err error) error { return err }

// TestCanceledContext: every call that does I/O ends at once with the error of
// its context, and changes nothing; what it was to do can be done afterwards.
func TestCanceledContext(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ws, good := d.ws, t.Context()
	r, err := d.exp.StartLogging(good, nil)
	require.NoError(t, err)
	require.NoError(t, r.Log("loss", 1.0, nil))
	require.NoError(t, r.Upload(good, "f", strings.NewReader("x"), nil))
	ep, err := ws.Endpoints().Deploy(good, "service", endpoint.Config{Model: d.m, Handler: double}, nil)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(good)
	cancel()
	file, out := filepath.Join(d.source, "train.sh"), t.TempDir()
	before := d.keys(t)
	for name, call := range map[string]func() error{
		"workspace.Open":             func() error { return failed(workspace.Open(ctx, out, newPlace(t).options())) },
		"Workspace.Update":           func() error { return failed(ws.Update(ctx, workspace.Update{Description: new("x")})) },
		"Workspace.Audit":            func() error { return first(ws.Audit(ctx, nil)) },
		"Workspace.Fsck":             func() error { return failed(ws.Fsck(ctx, nil)) },
		"Workspace.GC":               func() error { return failed(ws.GC(ctx, nil)) },
		"Workspace.Delete":           func() error { return ws.Delete(ctx, nil) },
		"Secrets.Set":                func() error { return ws.Secrets().Set(ctx, "s", "v") },
		"Secrets.List":               func() error { return first(ws.Secrets().List(ctx)) },
		"Experiments.CreateOrUpdate": func() error { return failed(ws.Experiments().CreateOrUpdate(ctx, "new", nil)) },
		"Experiments.Get":            func() error { return failed(ws.Experiments().Get(ctx, "churn", nil)) },
		"Experiments.List":           func() error { return first(ws.Experiments().List(ctx, nil)) },
		"Experiments.Delete":         func() error { return ws.Experiments().Delete(ctx, "churn", nil) },
		"Experiment.Archive":         func() error { return failed(d.exp.Archive(ctx)) },
		"Experiment.StartLogging":    func() error { return failed(d.exp.StartLogging(ctx, nil)) },
		"Experiment.Submit": func() error {
			return failed(d.exp.Submit(ctx, experiment.ScriptRunConfig{Source: d.source, Command: []string{"true"}}, nil))
		},
		"PlanSnapshot":          func() error { return failed(experiment.PlanSnapshot(ctx, d.source, nil)) },
		"Runs.Get":              func() error { return failed(ws.Runs().Get(ctx, r.ID(), nil)) },
		"Runs.List":             func() error { return first(ws.Runs().List(ctx, nil)) },
		"Runs.Delete":           func() error { return ws.Runs().Delete(ctx, d.r.ID(), nil) },
		"Run.Refresh":           func() error { return r.Refresh(ctx) },
		"Run.Wait":              func() error { return r.Wait(ctx, nil) },
		"Run.Cancel":            func() error { return r.Cancel(ctx, nil) },
		"Run.Tag":               func() error { return r.Tag(ctx, "a", "b") },
		"Run.LogParam":          func() error { return r.LogParam(ctx, "a", "b") },
		"Run.Child":             func() error { return failed(r.Child(ctx, nil)) },
		"Run.Children":          func() error { return first(r.Children(ctx, nil)) },
		"Run.Metrics":           func() error { return first(r.Metrics(ctx, &run.MetricsOptions{Follow: true})) },
		"Run.Summaries":         func() error { return failed(r.Summaries(ctx)) },
		"Run.Files":             func() error { return failed(r.Files(ctx, "")) },
		"Run.Open":              func() error { return failed(r.Open(ctx, "f")) },
		"Run.UploadFile":        func() error { return r.UploadFile(ctx, "g", file, nil) },
		"Run.UploadFolder":      func() error { return r.UploadFolder(ctx, "g", d.source, nil) },
		"Run.Download":          func() error { return r.Download(ctx, "", filepath.Join(out, "run"), nil) },
		"Run.RegisterModel":     func() error { return failed(r.RegisterModel(ctx, "m", "f", nil)) },
		"Run.Complete":          func() error { return r.Complete(ctx) },
		"Run.Fail":              func() error { return r.Fail(ctx, nil) },
		"Models.Register":       func() error { return failed(ws.Models().Register(ctx, "m", file, nil)) },
		"Models.Get":            func() error { return failed(ws.Models().Get(ctx, "churn", 0, nil)) },
		"Models.List":           func() error { return first(ws.Models().List(ctx, nil)) },
		"Models.Delete":         func() error { return ws.Models().Delete(ctx, "churn", 1, nil) },
		"Models.GetByID":        func() error { return failed(ws.Models().GetByID(ctx, "churn@a", nil)) },
		"Models.GetRegistered":  func() error { return failed(ws.Models().GetRegistered(ctx, "churn", nil)) },
		"Models.SetAlias":       func() error { return ws.Models().SetAlias(ctx, "churn", "a", 1, nil) },
		"Models.DeleteAlias":    func() error { return ws.Models().DeleteAlias(ctx, "churn", "a", nil) },
		"Models.ListRegistered": func() error { return first(ws.Models().ListRegistered(ctx, nil)) },
		"Models.CreateRegistered": func() error {
			return failed(ws.Models().CreateRegistered(ctx, "new", nil))
		},
		"Models.DeleteRegistered": func() error { return ws.Models().DeleteRegistered(ctx, "churn", nil) },
		"Model.Update":            func() error { return failed(d.m.Update(ctx, model.Update{Description: new("x")})) },
		"Model.Download":          func() error { return d.m.Download(ctx, filepath.Join(out, "model"), nil) },
		"Environments.Register":   func() error { return failed(ws.Environments().Register(ctx, environment.Spec{Name: "new"}, nil)) },
		"Environments.List":       func() error { return first(ws.Environments().List(ctx, nil)) },
		"Endpoints.Deploy": func() error {
			return failed(ws.Endpoints().Deploy(ctx, "new", endpoint.Config{Handler: double}, nil))
		},
		"Endpoints.List":         func() error { return first(ws.Endpoints().List(ctx, nil)) },
		"Endpoints.Delete":       func() error { return ws.Endpoints().Delete(ctx, "service", nil) },
		"Endpoint.Invoke":        func() error { return failed(ep.Invoke(ctx, []byte("1"), nil)) },
		"Endpoint.Keys":          func() error { return failed(ep.Keys(ctx)) },
		"Endpoint.RegenerateKey": func() error { return failed(ep.RegenerateKey(ctx, endpoint.PrimaryKey, "")) },
		"Endpoint.Update":        func() error { return ep.Update(ctx, endpoint.Update{Description: new("x")}) },
		"Endpoint.Stop":          func() error { return ep.Stop(ctx) },
	} {
		began := time.Now()
		require.ErrorIs(t, call(), context.Canceled, name)
		require.Less(t, time.Since(began), soon, name)
	}
	after := d.keys(t)
	for _, keys := range []map[string]backend.ETag{before, after} {
		for key := range keys {
			if strings.HasPrefix(key, "runs/"+r.ID()+"/") && key != "runs/"+r.ID()+"/run.json" {
				delete(keys, key) // the living run beats and ships its metrics
			}
		}
	}
	require.Equal(t, before, after)
	left, err := os.ReadDir(out)
	require.NoError(t, err)
	for _, entry := range left {
		require.True(t, strings.HasPrefix(entry.Name(), "."), entry.Name())
	}
	require.NoError(t, r.Complete(good))
	require.EqualValues(t, 1, series(t, r, "loss", 0))
	clean(t, ws)
}
