package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/endpoint/inferencegrpc"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/workspace"
)

// shared is what is shown by one goroutine and looked at by another.
type shared struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// String gives what was shown.
func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// TestPhasesOfAStart shows what a process does that has begun to serve an endpoint.
func TestPhasesOfAStart(t *testing.T) {
	t.Parallel()
	ws := workspacetest.Open(t)
	_, err := ws.Endpoints().Create(t.Context(), "churn", nil)
	require.NoError(t, err)
	h := workspace.Handle(ws)
	stored, err := core.Get[record.Endpoint](t.Context(), h, core.EndpointPrefix+"churn.json")
	require.NoError(t, err)
	_, err = core.CreateQuiet(t.Context(), h, core.HostPrefix("churn")+"0123.json", record.EndpointHost{ID: "0123", Endpoint: stored.Value.ID, Owner: h.Owner(),
		State: record.EndpointTransitioning, Phase: "starting deployment main"})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	out, ended := &shared{}, make(chan struct{})
	go func() {
		defer close(ended)
		sayPhases(ctx, ws, "churn", &progress{out: out})
	}()
	require.Eventually(t, func() bool { return bytes.Contains([]byte(out.String()), []byte("starting deployment main …")) }, time.Minute, 10*time.Millisecond)
	stop()
	<-ended
}

// TestDeployRefusesFlagsOfServing: flags that say how to serve are refused before anything
// is stored, when they can't be used and when who serves the endpoint would not heed them.
func TestDeployRefusesFlagsOfServing(t *testing.T) {
	t.Parallel()
	s, src, mine := setup(t), t.TempDir(), testenv.NewCertificate(t)
	write(t, src, "score.py", "def init(): pass\ndef run(data): return data\n")
	deploy := func(code int, flags ...string) string {
		return s.fails(t, code, append([]string{"endpoint", "deploy", "svc", "-s", src, "--entry-script", "score.py"}, flags...)...)
	}
	require.Contains(t, deploy(exitError, "--tls-cert", "/none.pem", "--tls-key", mine.KeyFile), "/none.pem")
	require.Contains(t, deploy(exitError, "--auth", "none", "--address", "0.0.0.0:0"), "keep authentication on")
	require.Contains(t, deploy(exitError, "--grpc", "8001"), "host:port")
	require.Contains(t, deploy(exitUsage, "--metrics-address", "0.0.0.0:9464"), "loopback")
	require.Equal(t, "[]", s.ok(t, "endpoint", "list", "-o", "json"), "nothing is stored")

	ws, err := workspace.Open(t.Context(), s.dir, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ws.Close(context.Background())) })
	_, err = ws.Endpoints().Deploy(t.Context(), "svc", endpoint.Config{HTTP: http.NotFoundHandler()}, nil)
	require.NoError(t, err)
	for _, flags := range [][]string{{"--address", "127.0.0.1:0"}, {"--grpc", "127.0.0.1:0"}, {"--metrics-address", "127.0.0.1:9464"}, {"--model-control", "explicit"}, {"--foreground"},
		{"--tls-cert", mine.File, "--tls-key", mine.KeyFile}} {
		said := deploy(exitError, append(flags, "--deployment", "green")...)
		require.Contains(t, said, "leave "+strings.Join(slices.DeleteFunc(flags, func(f string) bool { return f[0] != '-' }), ", ")+" out")
		require.Contains(t, said, "azml endpoint stop svc")
	}
	e, err := ws.Endpoints().Get(t.Context(), "svc", nil)
	require.NoError(t, err)
	require.Nil(t, e.Details().Candidate)
}

// TestShowOfWhatIsServed has the address for gRPC, and what is refused.
func TestShowOfWhatIsServed(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ws, err := workspace.Open(t.Context(), s.dir, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ws.Close(context.Background())) })
	e, err := ws.Endpoints().Deploy(t.Context(), "svc", endpoint.Config{HTTP: http.NotFoundHandler()},
		&endpoint.DeployOptions{Serve: &endpoint.ServeOptions{GRPC: inferencegrpc.Listen("127.0.0.1:0")}})
	require.NoError(t, err)
	address := e.Details().GRPC
	require.NotEmpty(t, address)
	require.NotContains(t, s.ok(t, "endpoint", "show", "svc"), "Warning")
	require.Regexp(t, `Warning: no deployment has traffic`, s.call(t, "endpoint", "traffic", "svc", "main=0").stderr)
	require.Regexp(t, `(?s)Warning: +no deployment has traffic.*gRPC: +`+address+`.*Served by: .* at `+e.URL()+`, gRPC at `+address, s.ok(t, "endpoint", "show", "svc"))
}

// TestValuesThatMeanNothing are refused before anything is stored.
func TestValuesThatMeanNothing(t *testing.T) {
	t.Parallel()
	s := setup(t)
	deploy := []string{"endpoint", "deploy", "svc", "--entry-script", "score.py"}
	for _, flag := range []string{"replicas", "max-replicas", "target-utilization", "max-concurrent", "max-batch", "max-batch-wait", "max-queue", "max-queue-wait",
		"scoring-timeout", "init-timeout", "max-memory", "max-body"} {
		require.Contains(t, s.fails(t, exitUsage, append(deploy, "--"+flag, "0")...), "--"+flag+" 0: ")
	}
	s.fails(t, exitUsage, "model", "serve", "m", "--replicas", "0")
	s.fails(t, exitUsage, "endpoint", "create", "svc", "--max-body", "0")
	s.fails(t, exitUsage, "endpoint", "update", "svc", "--max-body", "0")
	for flag, value := range map[string]string{"--scoring-timeout": "1ns", "--cors-origin": "example.org", "--target-utilization": "101"} {
		require.Contains(t, s.fails(t, exitError, append(deploy, flag, value)...), value)
	}
	require.Equal(t, "[]", s.ok(t, "endpoint", "list", "-o", "json"))
}

// TestDeployForAnother: that nobody is there who can serve what was deployed is told at once,
// with an exit code of its own, and it is kept.
func TestDeployForAnother(t *testing.T) {
	t.Parallel()
	needsProcesses(t)
	s, dir := setup(t), t.TempDir()
	write(t, dir, "iris.onnx", "any")
	s.ok(t, "model", "register", "--name", "iris", "--path", filepath.Join(dir, "iris.onnx"))
	for _, flags := range [][]string{nil, {"--foreground"}} {
		cmd := s.command(t, append([]string{"endpoint", "deploy", "iris", "--model", "iris:1"}, flags...)...)
		said, _ := cmd.CombinedOutput()
		require.Equal(t, exitUnserved, cmd.ProcessState.ExitCode(), string(said))
		require.Contains(t, string(said), "azml-onnx of the module github.com/azml-go/azml/onnx; what was deployed is kept")
	}
	s.fails(t, exitUnserved, "endpoint", "serve", "iris")
	var d endpoint.Details
	s.json(t, &d, "endpoint", "show", "iris")
	require.Equal(t, "iris:1", d.Candidate.Deployments[0].Models[0])
}

// TestNobodyServes: a store that can't be reached is another trouble than an endpoint that
// nobody serves, and scripts tell them apart by the exit code.
func TestNobodyServes(t *testing.T) {
	t.Parallel()
	nobody := fmt.Errorf("%w: nobody serves the endpoint", azml.ErrUnavailable)
	require.True(t, nobodyServes(nobody))
	require.False(t, nobodyServes(fmt.Errorf("look at the endpoint: %w", &core.StoreError{Cause: nobody})))
	require.False(t, nobodyServes(azml.ErrNotFound))
	require.False(t, nobodyServes(nil))
}
