package azure_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/azure"
	"github.com/azml-go/azml/backend/keyvault"
	"github.com/azml-go/azml/backend/keyvault/keyvaulttest"
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
	return signedUntil(t, client, time.Now().Add(time.Hour))
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
	_, err = azure.Create(ctx, where+"/a/b", opts)
	require.ErrorIs(t, err, azml.ErrInvalid, "it would be within the other")
	require.ErrorContains(t, err, "team/churn/workspace.json")

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

// TestVault has the secrets in a key vault that the URL names, and that the
// workspace knows from then on.
func TestVault(t *testing.T) {
	server := testenv.Azurite(t, testenv.AzuriteOptions{})
	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", "")
	vault := keyvaulttest.Start(nil)
	defer vault.Close()
	where := server.URL + "/models?vault=" + vault.URL()
	opts := &azure.Options{CacheDir: t.TempDir(), Credential: vault.Credential(), Vault: &keyvault.Options{Client: vault.ClientOptions()}}
	_, err := azure.Create(t.Context(), where, opts)
	require.ErrorIs(t, err, azml.ErrDenied, "a token is not sent by http")
	require.ErrorContains(t, err, "https alone")
	require.NotContains(t, err.Error(), vault.Token())

	t.Setenv("AZURE_STORAGE_KEY", server.Key)
	unknown := *opts
	unknown.Credential = fixed("of somebody else")
	_, err = azure.Create(t.Context(), where, &unknown)
	require.ErrorIs(t, err, azml.ErrDenied)
	require.ErrorContains(t, err, "the secret store of the workspace")
	require.NotContains(t, err.Error(), "of somebody else")
	opts.Credential = nil // the blobs by the key, the vault by the machine's identity
	identity(t, vault.Token())
	ws, err := azure.Create(t.Context(), where, opts)
	require.NoError(t, err)
	require.Equal(t, "models", ws.Name())
	require.Equal(t, where, ws.Details().Location)
	require.NoError(t, ws.Secrets().Set(t.Context(), "Password", "hunter2"))
	closed(t, ws, nil)
	ws, err = azure.Open(t.Context(), where, opts)
	require.NoError(t, err)
	got, err := ws.Secrets().Get(t.Context(), "password")
	require.NoError(t, err)
	require.Equal(t, "hunter2", got)

	bare := server.URL + "/models"
	require.Equal(t, vault.URL(), ws.Details().Vault)
	_, err = azure.Open(t.Context(), bare, opts)
	require.ErrorIs(t, err, azml.ErrInvalid, "a record has no right to send tokens anywhere")
	require.ErrorContains(t, err, "name it yourself")
	file := filepath.Join(t.TempDir(), "config.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"location":"`+where+`"}`), 0o600))
	_, err = azure.FromConfig(t.Context(), file, opts)
	require.ErrorIs(t, err, azml.ErrInvalid, "nor has a file")
	require.ErrorContains(t, err, "config.json names a key vault, "+vault.URL())
	_, err = ws.Update(t.Context(), workspace.Update{Vault: new(vault.URL() + "/x")})
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = ws.Update(t.Context(), workspace.Update{Vault: new(vault.LocalURL())})
	require.NoError(t, err)
	closed(t, ws, nil)

	_, err = azure.Open(t.Context(), bare, opts)
	require.ErrorIs(t, err, azml.ErrInvalid, "nor to a port of this machine")
	require.ErrorContains(t, err, vault.LocalURL())
	ws, err = azure.Open(t.Context(), bare+"?vault="+vault.LocalURL(), opts)
	require.NoError(t, err)
	got, err = ws.Secrets().Get(t.Context(), "password")
	require.NoError(t, err, "the caller has named it")
	require.Equal(t, "hunter2", got)
	dir := t.TempDir()
	_, err = ws.WriteConfig(dir)
	require.NoError(t, err)
	fromFile, err := azure.FromConfig(t.Context(), dir, opts)
	require.NoError(t, err, "so does the file in the working folder")
	require.Equal(t, vault.LocalURL(), fromFile.Details().Vault)
	closed(t, fromFile, nil)
	_, err = azure.Open(t.Context(), where, opts)
	require.ErrorIs(t, err, azml.ErrInvalid, "it is another one")
	require.ErrorContains(t, err, vault.URL()+" was named")
	_, err = ws.Update(t.Context(), workspace.Update{Vault: new("")})
	require.NoError(t, err)
	closed(t, ws, nil)
	ws, err = azure.Open(t.Context(), bare, opts)
	require.NoError(t, err)
	require.ErrorIs(t, ws.Secrets().Set(t.Context(), "a", "b"), azml.ErrUnsupported)
	closed(t, ws, nil)
	ws, err = azure.Open(t.Context(), where, opts)
	require.NoError(t, err)
	found, err := ws.Doctor(t.Context())
	require.NoError(t, err)
	require.Contains(t, found, workspace.Finding{Check: "secrets", Level: workspace.LevelWarning, Fix: "azml workspace update --vault " + vault.URL(),
		Message: "the workspace does not store its key vault: who opens it without naming one has no secrets"})
	require.Contains(t, found, workspace.Finding{Check: "secrets", Level: workspace.LevelInformation, Message: "secrets are in the key vault " + vault.URL() + ", which the caller named"})
	closed(t, ws, nil)
}

// fixed is a credential with that token.
type fixed string

func (f fixed) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(f), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// identity makes a machine's identity, as App Service has it, that gives a token.
func identity(t *testing.T, token string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-IDENTITY-HEADER") != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": token, "token_type": "Bearer",
			"resource": r.URL.Query().Get("resource"), "expires_on": time.Now().Add(time.Hour).Unix()})
	}))
	t.Cleanup(server.Close)
	t.Setenv("IDENTITY_ENDPOINT", server.URL)
	t.Setenv("IDENTITY_HEADER", "secret")
	t.Setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
}

// TestQuickstart runs the example as it is.
func TestQuickstart(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program; left out in short mode")
	}
	if runtime.GOOS != "linux" {
		t.Skip("Go takes the file of SSL_CERT_FILE on Linux alone")
	}
	server := testenv.Azurite(t, testenv.AzuriteOptions{})
	vault := keyvaulttest.Start(nil)
	defer vault.Close()
	identity(t, vault.Token())
	certificate := filepath.Join(t.TempDir(), "cert.pem")
	require.NoError(t, os.WriteFile(certificate, vault.CertificatePEM(), 0o600))
	program := filepath.Join(t.TempDir(), "quickstart.exe")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../examples/quickstart").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for range 2 { // the second time the workspace is there
		cmd := exec.CommandContext(t.Context(), program, "-workspace", server.URL+"/quick/start?vault="+vault.LocalURL())
		cmd.Env = append(os.Environ(), "AZURE_STORAGE_CONNECTION_STRING="+server.ConnectionString(), "SSL_CERT_FILE="+certificate, "XDG_CACHE_HOME="+t.TempDir())
		out, err = cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "held-out rows over HTTP: accuracy 0.9")
		require.NotContains(t, string(out), server.Key)
		require.NotContains(t, string(out), vault.Token())
	}
	require.Positive(t, vault.Requests()["SetSecret"])
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
