package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/azml-go/azml/endpoint"
	pb "github.com/azml-go/azml/internal/openinference/inferencepb"
	"github.com/azml-go/azml/internal/testenv"
)

// TestServeWithCertificate has processes serve an endpoint by HTTPS, and gRPC with the
// same certificate: who trusts it is answered, and nobody else, and nobody without
// encryption.
func TestServeWithCertificate(t *testing.T) {
	t.Parallel()
	needsProcesses(t)
	testenv.Python(t)
	s := setup(t)
	src := t.TempDir()
	write(t, src, "score.py", "import json\ndef init(): pass\ndef run(data):\n    x = json.loads(data)\n    return x['data'] if isinstance(x, dict) else x\n")
	mine, another := testenv.NewCertificate(t), testenv.NewCertificate(t)
	withTLS := []string{"--tls-cert", mine.File, "--tls-key", mine.KeyFile}
	require.Contains(t, s.fails(t, exitUsage, "endpoint", "serve", "safe", "--tls-cert", mine.File), "tls-key")
	require.Contains(t, s.fails(t, exitError, "endpoint", "serve", "safe", "--tls-cert", mine.File, "--tls-key", another.KeyFile), another.KeyFile)
	require.Contains(t, s.fails(t, exitError, "endpoint", "serve", "safe", "--tls-cert", "/none.pem", "--tls-key", mine.KeyFile), "/none.pem")

	s.ok(t, "endpoint", "create", "safe")
	require.NoError(t, s.command(t, "endpoint", "deploy", "safe", "-s", src, "--entry-script", "score.py").Run())
	t.Cleanup(func() { // a failed test leaves no process behind
		a := &app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
		a.run(context.Background(), []string{"-w", s.dir, "endpoint", "delete", "safe"})
	})
	s.ok(t, "endpoint", "stop", "safe")
	serve := s.command(t, append([]string{"endpoint", "serve", "safe", "--grpc", "127.0.0.1:0"}, withTLS...)...)
	pipe, err := serve.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, serve.Start())
	out := bufio.NewReader(pipe)
	line, err := out.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "safe is Healthy at https://127.0.0.1:")

	require.Equal(t, "41", s.ok(t, "endpoint", "invoke", "safe", "--data", "41", "--cacert", mine.File))
	require.Regexp(t, `main +ok .*42`, s.ok(t, "endpoint", "test", "safe", "--data", "42", "--cacert", mine.File))
	for _, verb := range []string{"invoke", "test"} {
		for _, trust := range [][]string{nil, {"--cacert", another.File}} {
			got := s.call(t, append([]string{"endpoint", verb, "safe", "--data", "1"}, trust...)...)
			require.Equal(t, exitError, got.code)
			require.Contains(t, got.stdout+got.stderr, "--cacert FILE names whom to trust")
		}
		s.fails(t, exitUsage, "endpoint", verb, "safe", "--data", "1", "--cacert", mine.KeyFile)
		require.Contains(t, s.fails(t, exitError, "endpoint", verb, "safe", "--data", "1", "--cacert", "/none.pem"), "/none.pem")
	}

	var d endpoint.Details
	s.json(t, &d, "endpoint", "show", "safe")
	plain, err := http.Post(strings.Replace(d.ScoringURI, "https://", "http://", 1), "application/json", strings.NewReader("1")) //nolint:noctx // of this machine
	require.NoError(t, err)
	require.NoError(t, plain.Body.Close())
	require.Equal(t, http.StatusBadRequest, plain.StatusCode)
	for _, address := range []string{strings.TrimPrefix(d.Hosts[0].URL, "https://"), d.Hosts[0].GRPC} {
		old, err := tls.Dial("tcp", address, &tls.Config{RootCAs: mine.Pool, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}) // it is refused
		if err == nil {
			require.NoError(t, old.Close())
		}
		require.ErrorContains(t, err, "protocol version", "versions of TLS that are broken")
	}

	key := s.ok(t, "endpoint", "keys", "safe", "--show=primary")
	for name, c := range map[string]struct {
		by   credentials.TransportCredentials
		want codes.Code
	}{
		"trusted":        {credentials.NewClientTLSFromCert(mine.Pool, ""), codes.OK},
		"another's":      {credentials.NewClientTLSFromCert(another.Pool, ""), codes.Unavailable},
		"nobody's":       {credentials.NewClientTLSFromCert(x509.NewCertPool(), ""), codes.Unavailable},
		"not encrypted":  {insecure.NewCredentials(), codes.Unavailable},
		"another's name": {credentials.NewClientTLSFromCert(mine.Pool, "example.org"), codes.Unavailable},
	} {
		connection, err := grpc.NewClient(d.Hosts[0].GRPC, grpc.WithTransportCredentials(c.by))
		require.NoError(t, err)
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+key)
		answer, err := pb.NewGRPCInferenceServiceClient(connection).ModelInfer(ctx, &pb.ModelInferRequest{ModelName: "safe",
			Inputs: []*pb.ModelInferRequest_InferInputTensor{{Name: "x", Datatype: "INT64", Shape: []int64{2}, Contents: &pb.InferTensorContents{Int64Contents: []int64{1, 2}}}}})
		require.Equal(t, c.want, status.Code(err), "%s: %v", name, err)
		if c.want == codes.OK {
			require.Equal(t, []int64{1, 2}, answer.GetOutputs()[0].GetContents().GetInt64Contents())
		}
		require.NoError(t, connection.Close())
	}

	// One more process, in the background; the first one leaves, and the other goes on.
	got := s.command(t, append([]string{"endpoint", "serve", "safe", "--background"}, withTLS...)...)
	text, err := got.Output()
	require.NoError(t, err)
	require.Contains(t, string(text), "https://")
	s.json(t, &d, "endpoint", "show", "safe")
	require.Len(t, d.Hosts, 2)
	require.NoError(t, serve.Process.Signal(syscall.SIGINT))
	_, err = io.ReadAll(out)
	require.NoError(t, err)
	require.NoError(t, serve.Wait())
	require.Equal(t, "43", s.ok(t, "endpoint", "invoke", "safe", "--data", "43", "--cacert", mine.File))
	s.ok(t, "endpoint", "stop", "safe")
	require.Eventually(t, func() bool {
		var now endpoint.Details
		s.json(t, &now, "endpoint", "show", "safe")
		return now.State == endpoint.StateStopped && len(now.Hosts) == 0
	}, 10*time.Minute, 50*time.Millisecond)
}
