package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/filesecrets"
	"github.com/azml-go/azml/backend/keyvault"
	"github.com/azml-go/azml/backend/keyvault/keyvaulttest"
	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/backend/prefixed"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// double is a scoring function.
func double(_ context.Context, input json.RawMessage) (any, error) {
	var v float64
	if err := json.Unmarshal(input, &v); err != nil {
		return nil, errors.Join(azml.ErrInvalid, err)
	}
	return 2 * v, nil
}

// story is what a newcomer does: submit a script, log, register, deploy, score,
// and clear away the endpoint. It can be told again in the same workspace.
// source holds the script's folder.
func story(ctx context.Context, ws *workspace.Workspace, source string) error {
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "churn", nil)
	if err != nil {
		return err
	}
	r, err := exp.Submit(ctx, experiment.ScriptRunConfig{Source: source, Command: []string{"/bin/sh", "train.sh"}}, nil)
	if err != nil {
		return err
	}
	if err := r.Wait(ctx, nil); err != nil {
		return err
	}
	if sums, err := r.Summaries(ctx); err != nil || sums["acc"].Count != 3 {
		return fmt.Errorf("summaries %v: %w", sums, errors.Join(err, azml.ErrDamaged))
	}
	inProcess, err := oneRun(ctx, exp, "story")
	if err != nil {
		return err
	}
	if err := inProcess.Upload(ctx, "outputs/notes.txt", bytesOf("notes"), nil); err != nil {
		return err
	}
	m, err := r.RegisterModel(ctx, "churn", "outputs/model.txt", nil)
	if err != nil {
		return err
	}
	if err := ws.Secrets().Set(ctx, "token", "s3cret"); err != nil {
		return err
	}
	return serve(ctx, ws, endpoint.Config{Model: m, Handler: double})
}

// serve deploys an endpoint, asks it once and deletes it.
func serve(ctx context.Context, ws *workspace.Workspace, config endpoint.Config) error {
	ep, err := ws.Endpoints().Deploy(ctx, "churn", config, &endpoint.DeployOptions{Overwrite: true})
	if err != nil {
		return err
	}
	var answer float64
	if err := ep.InvokeJSON(ctx, 21, &answer, nil); err != nil || answer != 42 {
		return fmt.Errorf("it answered %v: %w", answer, errors.Join(err, azml.ErrFailed))
	}
	return ws.Endpoints().Delete(ctx, "churn", nil)
}

// sourceFolder makes a folder with a training script that needs no Python.
func sourceFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "train.sh"), []byte(`
for i in 1 2 3; do echo "{\"name\": \"acc\", \"value\": 0.$i, \"step\": $i}" >> "$AZML_METRICS_FILE"; done
echo trained
echo weights > outputs/model.txt
`), 0o600))
	return dir
}

func TestStoryOnEveryBackend(t *testing.T) {
	t.Parallel()
	backends := []struct {
		name string
		make func(t *testing.T) (backend.Objects, backend.Secrets)
	}{
		{"localfs", func(t *testing.T) (backend.Objects, backend.Secrets) {
			dir := t.TempDir()
			objects, err := localfs.New(filepath.Join(dir, "objects"), nil)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, objects.Close()) })
			secrets, err := filesecrets.New(filepath.Join(dir, "secrets"), &filesecrets.Options{KeyFile: filepath.Join(dir, "key")})
			require.NoError(t, err)
			return objects, secrets
		}},
		{"memory", func(*testing.T) (backend.Objects, backend.Secrets) { return memory.NewObjects(), memory.NewSecrets() }},
		{"keyvault", func(t *testing.T) (backend.Objects, backend.Secrets) {
			v := keyvaulttest.Start(nil)
			t.Cleanup(v.Close)
			secrets, err := keyvault.New(v.URL(), v.Credential(), &keyvault.Options{Client: v.ClientOptions()})
			require.NoError(t, err)
			return memory.NewObjects(), secrets
		}},
	}
	plain := func(o backend.Objects, s backend.Secrets, cache string) workspace.Config {
		return workspace.Config{Name: "story", Objects: o, Secrets: s, CacheDir: cache}
	}
	wrappings := []struct {
		name string
		wrap func(backend.Objects, backend.Secrets, string) workspace.Config
	}{
		{"plain", plain},
		{"prefixed", func(o backend.Objects, s backend.Secrets, cache string) workspace.Config {
			return plain(prefixed.New(o, "team/ws/"), prefixed.NewSecrets(s, "team-"), cache)
		}},
		{"retrying and faulty", func(o backend.Objects, s backend.Secrets, cache string) workspace.Config {
			return failing(o, s, cache, 7)
		}},
	}
	for _, b := range backends {
		for _, w := range wrappings {
			t.Run(b.name+"/"+w.name, func(t *testing.T) {
				t.Parallel()
				objects, secrets := b.make(t)
				config := w.wrap(objects, secrets, t.TempDir())
				ws, err := workspace.Create(t.Context(), config)
				require.NoError(t, err)
				_, err = workspace.Create(t.Context(), config)
				require.ErrorIs(t, err, azml.ErrExists)
				source := sourceFolder(t)
				require.NoError(t, story(t.Context(), ws, source))
				closeAll(t, ws)
				retold(t, config, source)
			})
		}
	}
}

// retold opens the workspace anew, looks whether all is there, and goes on.
func retold(t *testing.T, config workspace.Config, source string) {
	t.Helper()
	ctx := t.Context()
	ws, err := workspace.New(ctx, config)
	require.NoError(t, err)
	defer closeAll(t, ws)
	require.NoError(t, story(ctx, ws, source))
	runs := map[string]int{}
	for r, err := range ws.Runs().List(ctx, nil) {
		require.NoError(t, err)
		require.Equal(t, run.StatusCompleted, r.Status())
		runs[r.Details().Type]++
		if r.Details().Type == run.TypeInProcess {
			checkPoints(t, r)
		}
	}
	require.Equal(t, map[string]int{run.TypeInProcess: 2, run.TypeScript: 2}, runs)
	m, err := ws.Models().Get(ctx, "churn", 0, nil)
	require.NoError(t, err)
	require.Equal(t, 2, m.Version())
	require.Equal(t, "weights\n", modelText(t, m))
	secret, err := ws.Secrets().Get(ctx, "token")
	require.NoError(t, err)
	require.Equal(t, "s3cret", secret)
	clean(t, ws)
}
