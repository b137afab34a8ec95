package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/token"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	s := setup(t)
	got := s.call(t, "token", "list")
	require.Contains(t, got.stderr, "No tokens")
	got = s.call(t, "token", "create", "ci", "--expires", "2d")
	require.Zero(t, got.code, got.stderr)
	secret := strings.TrimSpace(got.stdout)
	require.Regexp(t, `^azml_[0-9a-f]{16}_[a-z2-7]{52}$`, secret, "nothing else is on the standard output")
	require.Contains(t, got.stderr, "a contributor's until")
	var second tokenView
	s.json(t, &second, "token", "create", "ci", "--role", "reader")
	require.Equal(t, token.RoleReader, second.Role)
	require.Contains(t, second.Token, second.ID)
	require.InDelta(t, token.DefaultLife.Hours(), time.Until(second.Expires).Hours(), 1)

	var list []tokenView
	s.json(t, &list, "token", "list")
	require.Len(t, list, 2)
	require.Equal(t, second.ID, list[0].ID, "the newest first")
	require.Empty(t, list[0].Token)
	require.NotContains(t, s.ok(t, "token", "list"), strings.Split(secret, "_")[2])

	require.Contains(t, s.fails(t, exitError, "token", "revoke", "ci"), "2 tokens have the name ci")
	s.ok(t, "token", "revoke", secret)
	s.ok(t, "token", "revoke", "ci")
	s.json(t, &list, "token", "list")
	require.Equal(t, token.StateRevoked, list[0].State)
	require.Equal(t, token.StateRevoked, list[1].State)
	var again tokenView
	s.json(t, &again, "token", "revoke", second.ID)
	require.Equal(t, list[0].Revoked, again.Revoked)
	s.fails(t, exitError, "token", "revoke", "ci")
	s.fails(t, exitError, "token", "revoke", "0123456789abcdef")
	s.fails(t, exitError, "token", "create", "no good name")
	s.fails(t, exitError, "token", "create", "ci", "--role", "admin")
	for _, span := range []string{"", "0", "-1h", "soon", "1y", "NaNd"} {
		s.fails(t, exitUsage, "token", "create", "ci", "--expires", span)
	}
}

func TestServerUsage(t *testing.T) {
	t.Parallel()
	s := setup(t)
	empty := write(t, t.TempDir(), "empty", "\n")
	brief := write(t, t.TempDir(), "brief", "secret\n")
	for name, tt := range map[string]struct {
		args []string
		code int
		text string
	}{
		"others without tokens": {[]string{"--listen", "0.0.0.0:0"}, exitError, "no token is asked for"},
		"others without auth":   {[]string{"--listen", ":0", "--no-auth"}, exitError, "with NoAuth (--no-auth) everybody would be an owner"},
		"no port":               {[]string{"--listen", "127.0.0.1"}, exitUsage, "HOST:PORT"},
		"no such port":          {[]string{"--listen", "127.0.0.1:http2000"}, exitError, "port"},
		"no token file":         {[]string{"--token-file", empty + "2"}, exitError, "no such file"},
		"empty token file":      {[]string{"--token-file", empty}, exitError, "is empty"},
		"short token":           {[]string{"--token-file", brief}, exitError, "can be guessed"},
		"odd host":              {[]string{"--allow-host", "http://x"}, exitError, "use a name without a port"},
		"odd origin":            {[]string{"--cors-origin", "*"}, exitError, "use a scheme"},
		"half of a certificate": {[]string{"--tls-cert", empty}, exitUsage, "tls-key"},
		"no certificate":        {[]string{"--tls-cert", empty, "--tls-key", empty}, exitError, "certificate"},
		"token without auth":    {[]string{"--token-file", brief, "--no-auth"}, exitUsage, "no-auth"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := s.call(t, append([]string{"server"}, tt.args...)...)
			require.Equal(t, tt.code, got.code, got.stderr)
			require.Contains(t, got.stderr, tt.text)
			require.Empty(t, got.stdout, "it does not say that it serves")
		})
	}
}

// TestServerProcess is a server's life: open on this machine, then closed by a
// token that another process makes, and its end with Ctrl-C.
func TestServerProcess(t *testing.T) {
	t.Parallel()
	needsProcesses(t)
	s := setup(t)
	file := write(t, t.TempDir(), "token", strings.Repeat("0123456789", 4)+"\n")
	for name, tt := range map[string]struct {
		args   []string
		tokens bool
	}{
		"open":       {nil, false},
		"token file": {[]string{"--token-file", file}, true},
	} {
		cmd := s.command(t, append([]string{"server", "--listen", "127.0.0.1:0", "-o", "json"}, tt.args...)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		pipe, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		out := bufio.NewReader(pipe)
		var v serverView
		require.NoError(t, json.NewDecoder(out).Decode(&v), name)
		require.Equal(t, tt.tokens, v.Tokens, name)
		search := v.URL + "/api/2.0/mlflow/experiments/search"
		if tt.tokens {
			require.Equal(t, http.StatusOK, get(t, search, strings.Repeat("0123456789", 4)))
		} else {
			require.Equal(t, http.StatusOK, get(t, search, ""))
			secret := s.ok(t, "token", "create", "ci")
			require.Eventually(t, func() bool { return get(t, search, "") == http.StatusUnauthorized }, 5*time.Second, 20*time.Millisecond)
			require.Equal(t, http.StatusOK, get(t, search, secret))
		}
		require.Equal(t, http.StatusUnauthorized, get(t, search, ""), name)
		require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
		_, err = io.ReadAll(out)
		require.NoError(t, err)
		exit := &exec.ExitError{}
		if err := cmd.Wait(); err != nil {
			require.ErrorAs(t, err, &exit)
			require.Fail(t, "it failed", "%s: %s", err, stderr.String())
		}
		require.Contains(t, stderr.String(), "status=401", "refusals are told")
	}
}

// get gives the status of a GET with the token.
func get(t *testing.T, url, secret string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	if secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	req.Close = true
	answer, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return answer.StatusCode
}
