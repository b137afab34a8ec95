package instance

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNothingToDo(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{}", `{"token": "s3cret-value"`, `{"token": "s3cret-value", "port": "x"}`, `{"token": "s3cret-value"}`} {
		err := Serve(t.Context(), "azml", strings.NewReader(text), io.Discard)
		require.ErrorIs(t, err, azml.ErrInvalid, text)
		require.NotContains(t, err.Error(), "s3cret")
	}
}

// TestNoJupyter has an image without Jupyter, and an azml that ends: the one who
// waits for the instance finds out why.
func TestNoJupyter(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for name, c := range map[string]struct {
		setup Setup
		class error
		text  string
	}{
		"no Jupyter": {Setup{}, azml.ErrNotFound, "jupyter-lab"},
		"no server":  {Setup{Workspace: "/workspace"}, azml.ErrFailed, "the server of the workspace ended"},
	} {
		c.setup.Token, c.setup.Address, c.setup.State, c.setup.Home = "token", "127.0.0.1", t.TempDir(), t.TempDir()
		file := filepath.Join(c.setup.State, statusFile)
		require.NoError(t, os.WriteFile(file, []byte(`{"port": 8888}`), 0o600), "of the time before")
		input, err := json.Marshal(c.setup)
		require.NoError(t, err)
		err = Serve(t.Context(), "/bin/false", strings.NewReader(string(input)), io.Discard)
		require.ErrorIs(t, err, c.class, name)
		data, err := os.ReadFile(file)
		require.NoError(t, err, name)
		var s Status
		require.NoError(t, json.Unmarshal(data, &s), name)
		require.Zero(t, s.Port, name)
		require.Contains(t, s.Reason, c.text, name)
	}
}

// FuzzSetup reads anything.
func FuzzSetup(f *testing.F) {
	f.Add([]byte(`{"token": "a", "state": "/run", "idleShutdown": 1000000000, "port": 8888}`))
	f.Add([]byte(`{"token": "", "state": "/run"}`))
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := readSetup(strings.NewReader(string(data)))
		if err != nil {
			require.ErrorIs(t, err, azml.ErrInvalid)
			return
		}
		require.NotEmpty(t, s.Token)
		require.NotEmpty(t, s.State)
	})
}

// TestTrackingVariables: a client sends no password of another server.
func TestTrackingVariables(t *testing.T) {
	t.Parallel()
	variables := trackingVariables("http://127.0.0.1:1", "secret")
	require.Contains(t, variables, "MLFLOW_TRACKING_TOKEN=secret")
	require.Contains(t, variables, "MLFLOW_TRACKING_PASSWORD=secret", "clients prefer a password to the token")
	require.Contains(t, variables, "MLFLOW_TRACKING_USERNAME=azml", "a password goes with a name")
}
