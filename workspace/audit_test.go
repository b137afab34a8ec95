package workspace_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/token"
	"github.com/azml-go/azml/workspace"
)

// Every public call that creates, changes or deletes a resource leaves an entry.
func TestEveryChangeIsAudited(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t, t.TempDir())
	path := filepath.Join(t.TempDir(), "m.txt")
	require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
	var e *experiment.Experiment
	var r *run.Run
	var m *model.Model
	var ep *endpoint.Endpoint
	var tok *token.Token
	logging := func(id string) func() (err error) {
		return func() (err error) { r, err = e.StartLogging(ctx, &experiment.RunOptions{RunID: id}); return err }
	}
	for _, step := range []struct {
		call           string
		do             func() error
		op, kind, name string
	}{
		{"Workspace.Update", func() error { _, err := ws.Update(ctx, workspace.Update{FriendlyName: new("x")}); return err }, "update", "workspace", ws.Name()},
		{"Secrets.Set", func() error { return ws.Secrets().Set(ctx, "s", "value") }, "set", "secret", "s"},
		{"Secrets.Delete", func() error { return ws.Secrets().Delete(ctx, "s") }, "delete", "secret", "s"},
		{"Compute.Create", func() error { _, err := ws.Compute().Create(ctx, "box", compute.Local{}, nil); return err }, "create", "compute target", "box"},
		{"Compute.Delete", func() error { return ws.Compute().Delete(ctx, "box", nil) }, "delete", "compute target", "box"},
		{"Tokens.Create", func() (err error) {
			tok, _, err = ws.Tokens().Create(ctx, "ci", token.RoleReader, nil)
			return err
		}, "create", "token", ""},
		{"Tokens.Revoke", func() error { _, err := ws.Tokens().Revoke(ctx, tok.ID(), nil); return err }, "update", "token", ""},
		{"Environments.Register", func() error {
			_, err := ws.Environments().Register(ctx, environment.Spec{Name: "env"}, nil)
			return err
		}, "create", "environment", "env:1"},
		{"Experiments.CreateOrUpdate", func() (err error) { e, err = ws.Experiments().CreateOrUpdate(ctx, "e", nil); return err }, "create", "experiment", "e"},
		{"CreateOrUpdate again", func() error {
			_, err := ws.Experiments().CreateOrUpdate(ctx, "e", &experiment.CreateOptions{Description: "x"})
			return err
		}, "update", "experiment", "e"},
		{"Experiment.Update", func() error { _, err := e.Update(ctx, experiment.Update{Description: new("y")}); return err }, "update", "experiment", "e"},
		{"Experiment.Archive", func() error { _, err := e.Archive(ctx); return err }, "update", "experiment", "e"},
		{"Experiment.Reactivate", func() error { _, err := e.Reactivate(ctx); return err }, "update", "experiment", "e"},
		{"Experiment.StartLogging", logging("r1"), "create", "run", "r1"},
		{"Run.Child", func() error {
			child, err := r.Child(ctx, &run.ChildOptions{ID: "child"})
			return errors.Join(err, child.Complete(ctx))
		}, "create", "run", "child"},
		{"Run.Update", func() error { return r.Update(ctx, run.Update{DisplayName: new("x")}) }, "update", "run", "r1"},
		{"Run.Tag", func() error { return r.Tag(ctx, "a", "b") }, "update", "run", "r1"},
		{"Run.Complete", func() error { return errors.Join(r.UploadFile(ctx, "f", path, nil), r.Complete(ctx)) }, "update", "run", "r1"},
		{"StartLogging", logging("r2"), "create", "run", "r2"},
		{"Run.Fail", func() error { return r.Fail(ctx, nil) }, "update", "run", "r2"},
		{"StartLogging", logging("r3"), "create", "run", "r3"},
		{"Run.Cancel", func() error { return errors.Join(r.Cancel(ctx, nil), r.Fail(ctx, nil)) }, "update", "run", "r3"},
		{"Runs.Delete", func() error { return ws.Runs().Delete(ctx, "r3", nil) }, "delete", "run", "r3"},
		{"Models.Register", func() (err error) { m, err = ws.Models().Register(ctx, "m", path, nil); return err }, "create", "model", "m:1"},
		{"Run.RegisterModel", func() error {
			r, err := ws.Runs().Get(ctx, "r1", nil)
			require.NoError(t, err)
			_, err = r.RegisterModel(ctx, "m", "f", nil)
			return err
		}, "create", "model", "m:2"},
		{"Model.Update", func() error { _, err := m.Update(ctx, model.Update{Description: new("x")}); return err }, "update", "model", "m:1"},
		{"Endpoints.Create", func() error {
			_, err := ws.Endpoints().Create(ctx, "other", nil)
			return err
		}, "create", "endpoint", "other"},
		{"Endpoints.Deploy", func() (err error) {
			ep, err = ws.Endpoints().Deploy(ctx, "score", endpoint.Config{Model: m, Handler: echo}, nil)
			return err
		}, "create", "endpoint", "score"},
		{"Endpoint.RegenerateKey", func() error { _, err := ep.RegenerateKey(ctx, endpoint.PrimaryKey, ""); return err }, "update", "endpoint", "score"},
		{"Endpoint.Update", func() error { return ep.Update(ctx, endpoint.Update{Description: new("x")}) }, "update", "endpoint", "score"},
		{"Endpoint.Stop", func() error { return ep.Stop(ctx) }, "update", "endpoint", "score"},
		{"Endpoints.Serve", func() (err error) {
			ep, err = ws.Endpoints().Serve(ctx, "score", &endpoint.ServeOptions{Handler: echo})
			return err
		}, "update", "endpoint", "score"},
		{"Endpoints.Delete", func() error { return ws.Endpoints().Delete(ctx, "score", nil) }, "delete", "endpoint", "score"},
		{"Models.Delete", func() error { return ws.Models().Delete(ctx, "m", 1, nil) }, "delete", "model", "m:1"},
	} {
		before := audit(t, ws)
		require.NoError(t, step.do(), step.call)
		found := false
		for _, entry := range audit(t, ws)[len(before):] {
			require.NotEmpty(t, entry.Who)
			require.NotEmpty(t, entry.From)
			named := entry.Name == step.name || step.name == "" && entry.Name == tok.ID()
			found = found || entry.Op == step.op && entry.Kind == step.kind && named && entry.Failure == ""
		}
		require.True(t, found, "%s left no entry %s %s %s", step.call, step.op, step.kind, step.name)
	}
	count := func(opts *workspace.AuditOptions) (n int) {
		for _, err := range ws.Audit(ctx, opts) {
			require.NoError(t, err)
			n++
		}
		return n
	}
	require.Equal(t, 2, count(&workspace.AuditOptions{Kind: "secret"}))
	require.Equal(t, 1, count(&workspace.AuditOptions{Kind: "model", Name: "m:2"}))
	require.Zero(t, count(&workspace.AuditOptions{Since: time.Now().Add(48 * time.Hour)}))
	for _, entry := range audit(t, ws) {
		require.False(t, strings.Contains(entry.Detail, "value"))
	}
}

func audit(t *testing.T, ws *workspace.Workspace) []workspace.AuditEntry {
	t.Helper()
	var all []workspace.AuditEntry
	for entry, err := range ws.Audit(context.Background(), nil) {
		require.NoError(t, err)
		all = append(all, entry)
	}
	return all
}
