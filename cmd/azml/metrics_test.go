package main

import (
	"bufio"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/testenv"
)

// The real Prometheus finds what an endpoint does, and what is collected is a
// table.
func TestPrometheusAndCollection(t *testing.T) {
	t.Parallel()
	needsProcesses(t)
	testenv.Python(t)
	s := setup(t)
	src := t.TempDir()
	write(t, src, "score.py", "def init(): pass\ndef run(data):\n    assert data != '0'\n    return int(data)\n")
	s.fails(t, exitUsage, "endpoint", "deploy", "seen", "-s", src, "--entry-script", "score.py", "--collect-path", "x")
	s.fails(t, exitUsage, "endpoint", "deploy", "seen", "-s", src, "--entry-script", "score.py", "--collect", "request=much")
	s.fails(t, exitUsage, "endpoint", "serve", "seen", "--metrics-address", "0.0.0.0:9464")
	cmd := s.command(t, "endpoint", "deploy", "seen", "-s", src, "--entry-script", "score.py", "--foreground",
		"--metrics-address", "127.0.0.1:0", "--collect", "request", "--collect", "response=100%")
	said, err := cmd.StderrPipe()
	require.NoError(t, err)
	cmd.Stdout = io.Discard
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(said)
	address := ""
	for address == "" && lines.Scan() {
		if _, after, ok := strings.Cut(lines.Text(), "Metrics for Prometheus are at http://"); ok {
			address, _, _ = strings.Cut(after, "/")
		}
	}
	require.NotEmpty(t, address)
	go func() { _, _ = io.Copy(io.Discard, said) }()
	require.Eventually(t, func() bool { return strings.Contains(s.ok(t, "endpoint", "list"), "Healthy") }, time.Minute, 50*time.Millisecond)
	for _, data := range []string{"1", "2", "3"} {
		require.Equal(t, data, s.ok(t, "endpoint", "invoke", "seen", "--data", data))
	}
	s.fails(t, exitError, "endpoint", "invoke", "seen", "--data", "0")

	p := testenv.Prometheus(t, address)
	const deployment = `{azml_endpoint="seen",azml_deployment="main"`
	for expression, want := range map[string]float64{
		"azml_endpoint_requests_total" + deployment + `,azml_state="answered"}`:           3,
		"azml_endpoint_requests_total" + deployment + `,azml_state="failed"}`:             1,
		"azml_endpoint_replicas" + deployment + `,azml_state="ready"}`:                    1,
		"azml_endpoint_collected_total" + deployment + `,azml_state="kept"}`:              8,
		"azml_endpoint_queued" + deployment + "}":                                         0,
		"http_server_request_duration_seconds_count":                                      4,
		`azml_server_io_bytes_total{azml_endpoint="seen",network_io_direction="receive"}`: 4,
	} {
		require.Eventually(t, func() bool {
			got, ok := p.Query(t, expression)
			return ok && got == want
		}, time.Minute, 100*time.Millisecond, expression)
	}
	seconds, ok := p.Query(t, "azml_endpoint_request_time_seconds_total"+deployment+"}")
	require.True(t, ok)
	require.Positive(t, seconds)

	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	require.NoError(t, cmd.Wait())
	s.ok(t, "dataset", "register", "asked", "modeldata/**/request/**/*.csv")
	require.Contains(t, s.ok(t, "dataset", "head", "asked"), "seen")
}
