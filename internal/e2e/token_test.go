package e2e

import (
	"bytes"
	"encoding/base64"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/run"
)

// TestTokenOfARun: a script's token lets in who has it, for as long as the
// script runs, and lies nowhere.
func TestTokenOfARun(t *testing.T) {
	t.Parallel()
	config := shell(t, `env > "$BEGAN.env"; : > "$BEGAN"; while [ ! -e "$BEGAN.go" ]; do sleep 0.02; done`)
	wait := began(t, &config)
	config.Variables["HTTPS_PROXY"], config.Variables["no_proxy"] = "http://proxy.invalid:1", "a.example"
	config.Variables["MLFLOW_TRACKING_USERNAME"], config.Variables["MLFLOW_TRACKING_PASSWORD"] = "ann", "of another server"
	ws, p, r := submit(t, config)
	wait()
	file := config.Variables["BEGAN"]
	data, err := os.ReadFile(file + ".env")
	require.NoError(t, err)
	env := map[string]string{}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		env[name] = value
	}
	token := env["MLFLOW_TRACKING_TOKEN"]
	require.GreaterOrEqual(t, len(token), 26)
	require.Equal(t, r.ID(), env["MLFLOW_RUN_ID"])
	require.Equal(t, "scripts", env["MLFLOW_EXPERIMENT_NAME"])
	require.Equal(t, "a.example,127.0.0.1", env["no_proxy"])
	require.Contains(t, env["NO_PROXY"], "127.0.0.1")

	require.NotEmpty(t, env["MLFLOW_TRACKING_USERNAME"])
	require.Equal(t, token, env["MLFLOW_TRACKING_PASSWORD"], "clients prefer a password to the token")

	where := env["MLFLOW_TRACKING_URI"]
	status := func(authorization string, change ...func(*http.Request)) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, where+"/api/2.0/mlflow/runs/get?run_id="+r.ID(), nil)
		require.NoError(t, err)
		for _, change := range change {
			change(req)
		}
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	require.Equal(t, http.StatusOK, status("Bearer "+token))
	require.Equal(t, http.StatusOK, status(basic(env["MLFLOW_TRACKING_USERNAME"], token)))
	for _, wrong := range []string{"", basic("ann", "of another server"), basic(token, ""), basic("", token+"x"), "Bearer ", "Bearer x", "Bearer " + token + "x", "Basic " + token, token[:len(token)-1]} {
		require.Equal(t, http.StatusUnauthorized, status(wrong), "%q", wrong)
	}
	require.Equal(t, http.StatusForbidden, status("Bearer "+token, func(r *http.Request) { r.Host = "evil.com" }), "a stranger's name")
	require.Equal(t, http.StatusForbidden, status("Bearer "+token, func(r *http.Request) { r.Header.Set("Origin", "http://evil.com") }), "a stranger's page")
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, status("Bearer "+token, func(r *http.Request) { r.Header.Set("X", strings.Repeat("x", 64<<10)) }))
	nowhere(t, token, p.Dir, p.Cache)

	require.NoError(t, os.WriteFile(file+".go", nil, 0o600))
	require.NoError(t, r.Wait(t.Context(), nil))
	u, err := url.Parse(where)
	require.NoError(t, err)
	_, err = net.Dial("tcp", u.Host) //nolint:noctx // it fails at once
	require.Error(t, err, "nobody listens any more")
	nowhere(t, token, p.Dir, p.Cache)
	clean(t, ws)
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// TestScriptThatLogsElsewhere: who submits may send the script somewhere else.
func TestScriptThatLogsElsewhere(t *testing.T) {
	t.Parallel()
	config := shell(t, `env | grep ^MLFLOW_`)
	config.Variables = map[string]string{"MLFLOW_TRACKING_URI": "http://elsewhere.invalid"}
	_, _, r := submit(t, config)
	output := &bytes.Buffer{}
	require.NoError(t, r.Wait(t.Context(), &run.WaitOptions{Output: output}))
	require.Equal(t, "MLFLOW_TRACKING_URI=http://elsewhere.invalid\n", output.String())
}

// nowhere checks that no file of the folders holds the secret.
func nowhere(t *testing.T, secret string, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil //nolint:nilerr // what is gone holds nothing
			}
			data, err := os.ReadFile(path)
			if err == nil {
				require.NotContains(t, string(data), secret, path)
			}
			return nil
		}))
	}
}
