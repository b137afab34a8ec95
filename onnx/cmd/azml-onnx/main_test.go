package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/workspace"
)

// identity is an ONNX model that gives back what it gets.
const identity = `
import sys
from onnx import TensorProto, helper, save
x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]) for name in "xy")
save(helper.make_model(helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8), sys.argv[1])
`

func TestMain(m *testing.M) {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	must(testenv.KeepCache())
	home, err := os.MkdirTemp("", "azml-onnx-")
	must(err)
	must(os.Setenv("XDG_CONFIG_HOME", filepath.Join(home, "config")))
	must(os.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache")))
	code := m.Run()
	must(os.RemoveAll(home))
	os.Exit(code)
}

// TestServe: what another process has deployed is served, encrypted and with metrics, until
// it is interrupted.
func TestServe(t *testing.T) {
	t.Parallel()
	python, dir := testenv.ONNX(t), t.TempDir()
	file := filepath.Join(dir, "identity.onnx")
	said, err := exec.Command(python, "-c", identity, file).CombinedOutput()
	require.NoError(t, err, string(said))
	ws, err := workspace.Open(t.Context(), filepath.Join(dir, "ml"), nil)
	require.NoError(t, err)
	m, err := ws.Models().Register(t.Context(), "identity", file, nil)
	require.NoError(t, err)
	_, err = ws.Endpoints().Propose(t.Context(), "identity", endpoint.Config{Model: m}, &endpoint.DeployOptions{Settings: &endpoint.Settings{Auth: endpoint.AuthNone}})
	require.NoError(t, err)
	require.NoError(t, ws.Close(t.Context()))

	certificate := testenv.NewCertificate(t)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-workspace", filepath.Join(dir, "ml"), "-python", python, "-tls-cert", certificate.File, "-tls-key", certificate.KeyFile, "-metrics-address", "127.0.0.1:0", "identity"}, in)
		ended <- err
		in.CloseWithError(err)
	}()
	lines := bufio.NewReader(out)
	after := func(words string) string {
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		_, url, found := strings.Cut(strings.TrimSpace(line), words)
		require.True(t, found, line)
		return url
	}
	metrics, url := after("Metrics for Prometheus are at "), after("identity is served at ")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: certificate.Pool}}}
	defer client.CloseIdleConnections()
	resp, err := client.Post(url, "application/json", strings.NewReader(`[1, 2.5]`))
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.JSONEq(t, `{"y": [1, 2.5]}`, string(body))
	resp, err = http.Get(metrics)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Regexp(t, `(?m)^azml_endpoint_requests_total\{azml_deployment="main",azml_endpoint="identity",azml_state="answered".*\} 1$`, string(body))
	interrupt()
	require.NoError(t, <-ended)
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	_, err := parse(nil)
	require.ErrorContains(t, err, "name the endpoint")
	_, err = parse([]string{"-tls-cert", "cert.pem", "x"})
	require.ErrorContains(t, err, "-tls-key")
	require.ErrorContains(t, run(t.Context(), []string{"-metrics-address", ":9464", "x"}, io.Discard), "loopback")
	err = run(t.Context(), []string{"-python", "no-such-python", "x"}, io.Discard)
	require.ErrorIs(t, err, azml.ErrNotFound)
	err = run(t.Context(), []string{"-workspace", filepath.Join(t.TempDir(), "none"), "-python", testenv.ONNX(t), "x"}, io.Discard)
	require.ErrorIs(t, err, azml.ErrNotFound)
}
