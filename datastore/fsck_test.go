package datastore_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/workspace"
)

func TestFsck(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	skip := &datastore.RegisterOptions{SkipValidation: true}
	setup := func(t *testing.T) (*workspace.Workspace, string) {
		t.Helper()
		ws := open(t)
		_, err := ws.Datastores().Register(ctx, "web", datastore.HTTP{URL: "http://127.0.0.1:1/", BearerToken: "token"}, skip)
		require.NoError(t, err)
		_, err = ws.Datastores().Register(ctx, "web", datastore.HTTP{URL: "http://127.0.0.1:1/", BearerToken: "another"}, &datastore.RegisterOptions{SkipValidation: true, Overwrite: true})
		require.NoError(t, err)
		return ws, filepath.Join(ws.Details().Location, "datastores", "web.json")
	}
	secretOf := func(t *testing.T, ws *workspace.Workspace) string {
		t.Helper()
		for name, err := range ws.Secrets().List(ctx) {
			require.NoError(t, err)
			return name
		}
		return ""
	}
	for name, tt := range map[string]struct {
		harm                func(t *testing.T, ws *workspace.Workspace, file string)
		problem, problemKey string
		note                string
	}{
		"nothing": {harm: func(*testing.T, *workspace.Workspace, string) {}},
		"credentials are gone": {func(t *testing.T, ws *workspace.Workspace, _ string) {
			require.NoError(t, ws.Secrets().Delete(ctx, secretOf(t, ws)))
		}, "its credentials", "datastores/web.json", ""},
		"record is damaged": {func(t *testing.T, _ *workspace.Workspace, file string) {
			require.NoError(t, os.WriteFile(file, []byte("{}"), 0o600))
		}, "damaged", "datastores/web.json", "no datastore has these credentials"},
		"record is gone": {func(t *testing.T, _ *workspace.Workspace, file string) {
			require.NoError(t, os.Remove(file))
		}, "the record is missing", "datastores/web.json", "no datastore has these credentials"},
		"unregistered": {harm: func(t *testing.T, ws *workspace.Workspace, _ string) {
			require.NoError(t, ws.Datastores().Unregister(ctx, "web", nil))
			require.Empty(t, secretOf(t, ws))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws, file := setup(t)
			tt.harm(t, ws, file)
			report, err := ws.Fsck(ctx, nil)
			require.NoError(t, err)
			if tt.problem == "" {
				require.Empty(t, report.Problems)
			} else {
				require.Len(t, report.Problems, 1)
				require.Contains(t, report.Problems[0].Problem, tt.problem)
				require.Equal(t, tt.problemKey, report.Problems[0].Key)
			}
			if tt.note == "" {
				require.Empty(t, report.Notes)
			} else {
				require.Len(t, report.Notes, 1)
				require.Contains(t, report.Notes[0].Problem, tt.note)
			}
		})
	}
}
