package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// TestInAzure works in a workspace in Azure as in a folder. It is not parallel,
// for the environment and the current folder are the process's.
func TestInAzure(t *testing.T) {
	needsProcesses(t)
	server := testenv.Azurite(t, testenv.AzuriteOptions{})
	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", server.ConnectionString())
	t.Chdir(t.TempDir())
	s := &shell{server.URL + "/models/team/risk"}
	require.Contains(t, s.fails(t, exitError, "run", "list"), "azml init")
	var d workspace.Details
	made := s.call(t, "init", s.dir, "-o", "json")
	require.Zero(t, made.code, made.stderr)
	require.Contains(t, made.stderr, "Warning: secrets:", "it has no vault")
	require.Contains(t, made.stderr, "what to do: give the workspace a secret store")
	require.NoError(t, json.Unmarshal([]byte(made.stdout), &d))
	require.Equal(t, "risk", d.Name)
	require.Equal(t, s.dir, d.Location)
	config, err := os.ReadFile(filepath.Join(".azureml", "config.json"))
	require.NoError(t, err)
	require.Contains(t, string(config), s.dir)
	require.NotContains(t, string(config), server.Key)

	id := s.submit(t, `echo hello; echo '{"name": "loss", "value": 0.5}' >> "$AZML_METRICS_FILE"; echo weights > outputs/model.txt; env | grep -c AZURE_STORAGE || true`)
	require.Equal(t, "hello\n0", s.ok(t, "run", "logs", id), "the script gets no credential")
	require.Contains(t, s.ok(t, "run", "list", "--filter", "metrics.loss < 1"), id)
	s.ok(t, "model", "register", "--name", "risk", "--run", id, "--asset-path", "outputs/model.txt")
	var model struct {
		Version int `json:"version"`
	}
	s.json(t, &model, "model", "show", "risk")
	require.Equal(t, 1, model.Version)
	submit := s.command(t, "run", "submit", "--detach", "-e", "exp", "-s", t.TempDir(), "--command", "--", "sh", "-c", "true")
	var complaint strings.Builder
	submit.Stderr = &complaint
	detached, err := submit.Output()
	require.NoError(t, err, complaint.String())
	require.Eventually(t, func() bool { return s.status(t, strings.TrimSpace(string(detached))) == run.StatusCompleted }, 20*time.Second, 50*time.Millisecond)
	titanic := filepath.Join(t.TempDir(), "titanic.csv")
	require.NoError(t, os.WriteFile(titanic, []byte("1,2\n"), 0o600))
	s.ok(t, "datastore", "upload", "workspaceblobstore", titanic, "raw/")
	others, err := container.NewClientFromConnectionString(server.ConnectionString(), "models", nil)
	require.NoError(t, err)
	_, err = others.NewBlockBlobClient("team/risk/data/raw/über uns.csv").UploadBuffer(t.Context(), []byte("3,4\n"), nil)
	require.NoError(t, err)
	require.Contains(t, s.ok(t, "datastore", "ls", "workspaceblobstore", "raw/"), "über uns.csv", "another program has written it")
	response, err := http.Get(s.ok(t, "datastore", "link", "workspaceblobstore", "raw/titanic.csv", "--expires", "5m"))
	require.NoError(t, err)
	read, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, "1,2\n", string(read))
	require.Contains(t, s.fails(t, exitError, "datastore", "link", "workspaceblobstore", "raw/"), "hierarchical namespace")
	s.ok(t, "workspace", "fsck", "--deep")
	s.ok(t, "workspace", "gc")
	require.Contains(t, s.ok(t, "doctor"), "deleted objects can't be had back, nor can replaced ones")

	here := call(t, "", "workspace", "show", "-o", "json") // found by config.json
	require.Zero(t, here.code, here.stderr)
	require.NoError(t, json.Unmarshal([]byte(here.stdout), &d))
	require.Equal(t, s.dir, d.Location)
	require.Contains(t, s.ok(t, "workspace", "update", "--vault", "contoso-ml"), "https://contoso-ml.vault.azure.net")
	require.Contains(t, s.ok(t, "workspace", "show"), "https://contoso-ml.vault.azure.net (named by the workspace's record)")
	named := call(t, "", "-w", s.dir+"?vault=contoso-ml", "workspace", "delete", "--secrets")
	require.Equal(t, exitUsage, named.code)
	require.Contains(t, named.stderr, "all secrets of the key vault https://contoso-ml.vault.azure.net (named by the caller)")
	require.Contains(t, s.fails(t, exitError, "workspace", "delete", "--yes", "--secrets"), "by --vault")
	require.Contains(t, s.fails(t, exitError, "workspace", "delete", "--yes", "--secrets", "--vault", "other"), "not in the key vault https://other.vault.azure.net")
	require.Contains(t, call(t, "", "-w", s.dir+"?vault=other", "run", "list").stderr, "https://other.vault.azure.net was named")
	s.ok(t, "workspace", "update", "--vault", "")
	again := call(t, "", "init", s.dir, "--no-config")
	require.Zero(t, again.code, again.stderr)
	require.Contains(t, again.stderr, "stays as it is")

	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", strings.Replace(server.ConnectionString(), server.Key, "d3Jvbmc=", 1))
	said := s.fails(t, exitError, "run", "list")
	require.Contains(t, said, "permission denied")
	require.NotContains(t, said, "d3Jvbmc=")
	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", server.ConnectionString())
	require.Contains(t, call(t, "", "-w", "azblob://contoso/models?sig=abc", "run", "list").stderr, "signature")
	s.ok(t, "workspace", "delete", "--yes")
	require.Contains(t, s.fails(t, exitError, "run", "list"), "azml init")
}

// TestSyncBetweenAccounts has two storage accounts with a credential each. It is not parallel,
// for the environment is the process's.
func TestSyncBetweenAccounts(t *testing.T) {
	needsProcesses(t)
	here, there := testenv.Azurite(t, testenv.AzuriteOptions{Account: "contoso"}), testenv.Azurite(t, testenv.AzuriteOptions{Account: "fabrikam"})
	src, dst := &shell{here.URL + "/models/team"}, &shell{there.URL + "/models/team"}
	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", here.ConnectionString())
	t.Setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential") // nobody is asked over the network
	src.ok(t, "init", src.dir, "--no-config")
	id := src.submit(t, "true")
	said := src.fails(t, exitError, "sync", src.dir, dst.dir)
	require.Contains(t, said, "DST, "+dst.dir)
	require.Contains(t, said, "AZURE_STORAGE_CONNECTION_STRING_FABRIKAM", "how to give it one")

	t.Setenv("AZURE_STORAGE_KEY_FABRIKAM", there.Key)
	dst.ok(t, "init", dst.dir, "--no-config")
	src.ok(t, "sync", src.dir, dst.dir)
	require.Contains(t, dst.ok(t, "run", "list"), id)

	t.Setenv("AZURE_STORAGE_KEY_FABRIKAM", here.Key)
	said = src.fails(t, exitError, "sync", src.dir, dst.dir)
	require.Contains(t, said, "DST, "+dst.dir)
	require.Contains(t, said, "permission denied")
	require.NotContains(t, said, here.Key)
	t.Setenv("AZURE_STORAGE_CONNECTION_STRING_CONTOSO", strings.Replace(here.ConnectionString(), here.Key, there.Key, 1))
	require.Contains(t, src.fails(t, exitError, "sync", src.dir, dst.dir), "SRC, "+src.dir)
}

func TestInitFlags(t *testing.T) {
	t.Parallel()
	require.Equal(t, "azblob://contoso/risk", azureURL("contoso/risk", ""))
	require.Equal(t, "azblob://contoso/risk/team?vault=contoso-ml", azureURL("contoso/risk/team", "contoso-ml"))
	for want, args := range map[string][]string{
		"exclude each other": {"init", "folder", "--azure", "contoso/risk"},
		"--vault goes with":  {"init", "--vault", "contoso-ml"},
	} {
		done := call(t, "", args...)
		require.Equal(t, exitUsage, done.code)
		require.Contains(t, done.stderr, want)
	}
	local := filepath.Join(t.TempDir(), "ws")
	require.Zero(t, call(t, "", "init", local, "--no-config").code)
	require.Contains(t, call(t, "", "-w", local, "workspace", "update", "--vault", "contoso-ml").stderr, "are in its folder")
	require.Contains(t, call(t, "", "init", "--azure", "contoso").stderr, "names no account or no container")
}
