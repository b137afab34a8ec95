package azure_test

import (
	"context"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/azure"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// closed closes the workspace, if there is one.
func closed(t *testing.T, ws *workspace.Workspace, err error) {
	t.Helper()
	require.NoError(t, err)
	require.NoError(t, ws.Close(context.WithoutCancel(t.Context())))
}

// sign makes a shared access signature on the container.
func sign(t *testing.T, server *testenv.AzuriteServer, name string) string {
	t.Helper()
	client, err := container.NewClientFromConnectionString(server.ConnectionString(), name, nil)
	require.NoError(t, err)
	signed, err := client.GetSASURL(sas.ContainerPermissions{Read: true, Add: true, Create: true, Write: true, Delete: true, List: true}, time.Now().Add(time.Hour), nil)
	require.NoError(t, err)
	u, err := url.Parse(signed)
	require.NoError(t, err)
	return u.RawQuery
}

// TestWorkspace is not parallel, for the environment is the process's.
func TestWorkspace(t *testing.T) {
	for _, name := range []string{"AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN"} {
		t.Setenv(name, "")
	}
	server := testenv.Azurite(t, testenv.AzuriteOptions{})
	where := server.URL + "/models/team/churn"
	opts := &azure.Options{CacheDir: t.TempDir(), Secrets: memory.NewSecrets()}
	ctx := t.Context()

	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", server.ConnectionString())
	_, err := azure.Open(ctx, where, opts)
	require.ErrorIs(t, err, azml.ErrNotFound, "there is no container")
	require.ErrorContains(t, err, "azml init")
	ws, err := azure.Create(ctx, where, opts)
	require.NoError(t, err)
	require.Equal(t, "churn", ws.Name())
	require.Equal(t, where, ws.Details().Location)
	require.NoError(t, ws.Secrets().Set(ctx, "a", "b"))
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "e", nil)
	require.NoError(t, err)
	_, err = exp.Run(ctx, func(_ context.Context, r *run.Run) error { return r.Log("loss", 1.0, nil) }, nil)
	require.NoError(t, err)
	dir := t.TempDir()
	file, err := ws.WriteConfig(dir)
	require.NoError(t, err)
	closed(t, ws, nil)

	_, err = azure.Create(ctx, where, opts)
	require.ErrorIs(t, err, azml.ErrExists)
	_, err = azure.Open(ctx, server.URL+"/models/team", opts)
	require.ErrorIs(t, err, azml.ErrNotFound, "there is no workspace")
	_, err = azure.Create(ctx, server.URL+"/models/team", opts)
	require.ErrorIs(t, err, azml.ErrInvalid, "there are other blobs")

	below := filepath.Join(dir, "below")
	require.NoError(t, os.Mkdir(below, 0o700))
	ws, err = azure.FromConfig(ctx, below, opts)
	closed(t, ws, err)
	_, err = workspace.FromConfig(ctx, below, nil)
	require.ErrorIs(t, err, azml.ErrUnsupported)
	stored, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NotContains(t, string(stored), server.Key)
	var config map[string]string
	require.NoError(t, json.Unmarshal(stored, &config))
	require.Equal(t, where, config["location"])

	ws, err = azure.Open(ctx, where, &azure.Options{CacheDir: opts.CacheDir})
	require.NoError(t, err)
	require.ErrorIs(t, ws.Secrets().Set(ctx, "a", "b"), azml.ErrUnsupported, "it has no secret store")
	require.NoError(t, ws.Delete(ctx, nil))
	_, err = azure.Open(ctx, where, opts)
	require.ErrorIs(t, err, azml.ErrNotFound, "it was deleted")
	ws, err = azure.Create(ctx, where, opts)
	closed(t, ws, err)

	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", strings.Replace(server.ConnectionString(), server.Account, "other", 1))
	_, err = azure.Open(ctx, where, opts)
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.ErrorContains(t, err, "other")
	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", "")
	t.Setenv("AZURE_STORAGE_KEY", server.Key)
	ws, err = azure.Open(ctx, where, opts)
	closed(t, ws, err)
	t.Setenv("AZURE_STORAGE_KEY", "d3Jvbmc=")
	_, err = azure.Open(ctx, where, opts)
	require.ErrorIs(t, err, azml.ErrDenied)
	t.Setenv("AZURE_STORAGE_KEY", "")
	t.Setenv("AZURE_STORAGE_SAS_TOKEN", sign(t, server, "models"))
	ws, err = azure.Open(ctx, where, opts)
	closed(t, ws, err)
	ws, err = azure.Create(ctx, server.URL+"/models/by-signature", opts)
	closed(t, ws, err)
}

// TestLocalConfig has a config.json that names a folder.
func TestLocalConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ws, err := workspace.Open(t.Context(), filepath.Join(dir, "ws"), &workspace.OpenOptions{CacheDir: filepath.Join(dir, "cache"), SecretsKeyFile: filepath.Join(dir, "key")})
	require.NoError(t, err)
	_, err = ws.WriteConfig(dir)
	closed(t, ws, err)
	ws, err = azure.FromConfig(t.Context(), dir, &azure.Options{CacheDir: filepath.Join(dir, "cache")})
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "ws"), ws.Details().Location)
	closed(t, ws, nil)
}
