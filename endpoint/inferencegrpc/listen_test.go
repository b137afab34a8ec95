package inferencegrpc

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/endpoint"
	pb "github.com/azml-go/azml/internal/openinference/inferencepb"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/internal/workspacetest"
)

// twice gives the numbers of the one input, doubled.
func twice(_ context.Context, input json.RawMessage) (any, error) {
	var asked struct{ Data []float64 }
	if err := json.Unmarshal(input, &asked); err != nil {
		return nil, fmt.Errorf("%w: give a list of numbers", azml.ErrInvalid)
	}
	for i, n := range asked.Data {
		if n == 13 {
			return nil, errors.New("the secret of the service")
		}
		asked.Data[i] = 2 * n
	}
	return asked.Data, nil
}

func numbers(values ...float64) *pb.ModelInferRequest {
	r := one("FP64", []int64{int64(len(values))}, &pb.InferTensorContents{Fp64Contents: values})
	r.ModelName = "double"
	return r
}

func TestServe(t *testing.T) {
	t.Parallel()
	ws := workspacetest.Open(t)
	ep, err := ws.Endpoints().Deploy(t.Context(), "double", endpoint.Config{Handler: twice}, &endpoint.DeployOptions{
		PrimaryKey: "first-key", Settings: &endpoint.Settings{MaxBody: 1 << 20}, Serve: &endpoint.ServeOptions{GRPC: Listen("127.0.0.1:0")}})
	require.NoError(t, err)
	address := ep.Details().Hosts[0].GRPC
	require.NotEmpty(t, address)
	require.Equal(t, address, ep.Details().GRPC)
	c := dial(t, address)

	live, err := c.ServerLive(t.Context(), &pb.ServerLiveRequest{})
	require.NoError(t, err, "whoever probes has no key")
	require.True(t, live.GetLive())
	ready, err := c.ServerReady(t.Context(), &pb.ServerReadyRequest{})
	require.NoError(t, err)
	require.True(t, ready.GetReady())
	for _, sent := range []string{"", "Bearer", "Bearer wrong", "first-key", "Basic first-key"} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", sent)
		_, err = c.ModelInfer(ctx, numbers(1))
		require.Equal(t, codes.Unauthenticated, status.Code(err), sent)
	}

	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer first-key")
	said, err := c.ModelInfer(ctx, numbers(1, 1.25))
	require.NoError(t, err)
	require.Equal(t, []float64{2, 2.5}, said.GetOutputs()[0].GetContents().GetFp64Contents())
	require.Equal(t, "main", said.GetModelVersion())
	for name, tt := range map[string]struct {
		req  *pb.ModelInferRequest
		code codes.Code
		want string
	}{
		"another model":   {&pb.ModelInferRequest{ModelName: "other"}, codes.NotFound, `"other"`},
		"another version": {&pb.ModelInferRequest{ModelName: "double", ModelVersion: "green"}, codes.NotFound, `"green"`},
		"refused": {func() *pb.ModelInferRequest {
			r := one("BYTES", []int64{1}, nil, []byte{1, 0, 0, 0, 'a'})
			r.ModelName = "double"
			return r
		}(), codes.InvalidArgument, "list of numbers"},
		"fails":     {numbers(13), codes.Internal, "the model has failed"},
		"too large": {numbers(make([]float64, 1<<18)...), codes.ResourceExhausted, "larger than max"},
	} {
		_, err := c.ModelInfer(ctx, tt.req)
		require.Equal(t, tt.code, status.Code(err), name)
		require.ErrorContains(t, err, tt.want, name)
		require.NotContains(t, err.Error(), "secret", name)
	}
	index, err := c.RepositoryIndex(ctx, &pb.RepositoryIndexRequest{})
	require.NoError(t, err)
	require.Equal(t, "READY", index.GetModels()[0].GetState())
	_, err = c.RepositoryModelLoad(ctx, &pb.RepositoryModelLoadRequest{ModelName: "double"})
	require.NoError(t, err, "it is loaded")
	_, err = c.RepositoryModelUnload(ctx, &pb.RepositoryModelUnloadRequest{ModelName: "double"})
	require.Equal(t, codes.PermissionDenied, status.Code(err))

	_, err = ep.RegenerateKey(t.Context(), endpoint.PrimaryKey, "second-key")
	require.NoError(t, err)
	_, err = c.ModelInfer(ctx, numbers(1))
	require.Equal(t, codes.Unauthenticated, status.Code(err))

	logs, err := ep.Logs(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, ep.Stop(t.Context()))
	require.NoError(t, logs.Close())
	logs, err = ep.Logs(t.Context(), nil)
	require.NoError(t, err)
	text, err := io.ReadAll(logs)
	require.NoError(t, err)
	require.NoError(t, logs.Close())
	require.Contains(t, string(text), "the secret of the service")
	logs, err = ep.Logs(t.Context(), &endpoint.LogsOptions{Requests: true})
	require.NoError(t, err)
	text, err = io.ReadAll(logs)
	require.NoError(t, err)
	require.NoError(t, logs.Close())
	require.Regexp(t, `"deployment":"main","method":"gRPC","path":"/inference.GRPCInferenceService/ModelInfer","status":200,"ms":[0-9.]+,"runMs":[0-9.]+,"in":[1-9][0-9]*,"out":[1-9]`, string(text))
	require.Contains(t, string(text), `"path":"/inference.GRPCInferenceService/ModelInfer","status":401,`)
	require.NotContains(t, string(text), "ServerLive")
	_, err = c.ServerLive(t.Context(), &pb.ServerLiveRequest{})
	require.Equal(t, codes.Unavailable, status.Code(err))
}

// TestTellsOfTheRequest: scoring code is told of a call what it is of a request over HTTP,
// and the client gets the ID and what the scoring code says in headers.
func TestTellsOfTheRequest(t *testing.T) {
	t.Parallel()
	seen := make(chan *http.Request, 2)
	ws := workspacetest.Open(t)
	deploy := func(name, says string) *endpoint.Endpoint {
		ep, err := ws.Endpoints().Deploy(t.Context(), "double", endpoint.Config{HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen <- r.Clone(context.Background())
			w.Header().Set("X-Cost", says)
			_, _ = io.WriteString(w, "[1]")
		})}, &endpoint.DeployOptions{Deployment: name, PrimaryKey: "first-key", Serve: &endpoint.ServeOptions{GRPC: Listen("127.0.0.1:0")}})
		require.NoError(t, err)
		return ep
	}
	deploy("main", "3")
	c := dial(t, deploy("green", "4").Details().Hosts[0].GRPC)
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer first-key")
	var header metadata.MD
	said, err := c.ModelInfer(metadata.AppendToOutgoingContext(ctx, "x-request-id", "RID-2", "x-tenant", "t1", "traceparent", trace, "key-bin", "\x00",
		"azureml-model-deployment", "green"), numbers(1), grpc.Header(&header))
	require.NoError(t, err)
	require.Equal(t, "green", said.GetModelVersion())
	require.Equal(t, []string{"RID-2"}, header.Get("x-request-id"))
	require.Equal(t, []string{"4"}, header.Get("x-cost"))
	require.Equal(t, []string{"application/grpc"}, header.Get("content-type"))
	got := <-seen
	require.Equal(t, "t1", got.Header.Get("X-Tenant"))
	require.Equal(t, trace, got.Header.Get("Traceparent"))
	require.Equal(t, "RID-2", got.Header.Get("X-Request-Id"))
	require.Equal(t, "application/json", got.Header.Get("Content-Type"))
	require.NotContains(t, got.Header, "Authorization")
	require.NotContains(t, got.Header, "Key-Bin")
	require.Regexp(t, `^127\.0\.0\.1:[1-9]`, got.RemoteAddr)
	require.Regexp(t, `^127\.0\.0\.1:[1-9]`, got.Host)

	asked := numbers(1)
	asked.Id = "of the message"
	_, err = c.ModelInfer(ctx, asked, grpc.Header(&header))
	require.NoError(t, err)
	require.Equal(t, []string{"of the message"}, header.Get("x-request-id"))
	asked.Id = "no\nheader"
	_, err = c.ModelInfer(ctx, asked, grpc.Header(&header))
	require.NoError(t, err)
	require.Len(t, header.Get("x-request-id")[0], 36, "it is made")
	_, err = c.ModelInfer(metadata.AppendToOutgoingContext(ctx, "x-request-id", strings.Repeat("x", 101)), numbers(1))
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	_, err = c.ModelInfer(metadata.AppendToOutgoingContext(ctx, "azureml-model-deployment", "red"), numbers(1))
	require.Equal(t, codes.NotFound, status.Code(err))
}

// TestUnload: with model control the model is unloaded and loaded as over HTTP, which is
// the same one.
func TestUnload(t *testing.T) {
	t.Parallel()
	ws := workspacetest.Open(t)
	_, err := ws.Endpoints().Deploy(t.Context(), "double", endpoint.Config{Handler: twice}, &endpoint.DeployOptions{
		Serve: &endpoint.ServeOptions{ModelControl: "poll"}})
	require.ErrorIs(t, err, azml.ErrInvalid)
	ep, err := ws.Endpoints().Deploy(t.Context(), "double", endpoint.Config{Handler: twice}, &endpoint.DeployOptions{
		PrimaryKey: "first-key", Serve: &endpoint.ServeOptions{GRPC: Listen("127.0.0.1:0"), ModelControl: endpoint.ModelControlExplicit}})
	require.NoError(t, err)
	c := dial(t, ep.Details().Hosts[0].GRPC)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer first-key")
	_, err = c.RepositoryModelUnload(t.Context(), &pb.RepositoryModelUnloadRequest{ModelName: "double"})
	require.Equal(t, codes.Unauthenticated, status.Code(err))
	_, err = c.RepositoryModelUnload(ctx, &pb.RepositoryModelUnloadRequest{ModelName: "double"})
	require.NoError(t, err)
	_, err = c.ModelInfer(ctx, numbers(1))
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.ErrorContains(t, err, "unloaded")
	_, err = ep.Invoke(t.Context(), []byte(`{"data": [1]}`), nil)
	require.ErrorIs(t, err, azml.ErrUnavailable)
	ready, err := c.ModelReady(ctx, &pb.ModelReadyRequest{Name: "double"})
	require.NoError(t, err)
	require.False(t, ready.GetReady())
	_, err = c.RepositoryModelLoad(ctx, &pb.RepositoryModelLoadRequest{ModelName: "double"})
	require.NoError(t, err)
	_, err = c.ModelInfer(ctx, numbers(1))
	require.NoError(t, err)

	other := &pb.RepositoryModelLoadRequest{ModelName: "double"}
	other.ProtoReflect().SetUnknown([]byte{0x1a, 0}) // parameters
	_, err = c.RepositoryModelLoad(ctx, other)
	require.Equal(t, codes.InvalidArgument, status.Code(err))

	require.NoError(t, ep.Update(t.Context(), endpoint.Update{Auth: endpoint.AuthNone}))
	require.Eventually(t, func() bool { // once it is served so
		_, err = c.RepositoryModelUnload(t.Context(), &pb.RepositoryModelUnloadRequest{ModelName: "double"})
		return status.Code(err) != codes.Unauthenticated
	}, time.Minute, 10*time.Millisecond)
	require.Equal(t, codes.PermissionDenied, status.Code(err))
}

// TestServeWithCertificate: with the endpoint's certificate calls are encrypted, and who
// does not trust it sends neither key nor request.
func TestServeWithCertificate(t *testing.T) {
	t.Parallel()
	certificate := testenv.NewCertificate(t)
	ep, err := workspacetest.Open(t).Endpoints().Deploy(t.Context(), "double", endpoint.Config{Handler: twice}, &endpoint.DeployOptions{
		PrimaryKey: "first-key", Serve: &endpoint.ServeOptions{Certificate: &certificate.Pair, GRPC: Listen("127.0.0.1:0")}})
	require.NoError(t, err)
	address := ep.Details().Hosts[0].GRPC
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer first-key")
	said, err := dialBy(t, address, credentials.NewClientTLSFromCert(certificate.Pool, "")).ModelInfer(ctx, numbers(1, 1.25))
	require.NoError(t, err)
	require.Equal(t, []float64{2, 2.5}, said.GetOutputs()[0].GetContents().GetFp64Contents())
	for name, client := range map[string]pb.GRPCInferenceServiceClient{
		"of another authority": dialBy(t, address, credentials.NewClientTLSFromCert(testenv.NewCertificate(t).Pool, "")),
		"of another name":      dialBy(t, address, credentials.NewClientTLSFromCert(certificate.Pool, "example.org")),
		"not encrypted":        dial(t, address),
	} {
		_, err := client.ModelInfer(ctx, numbers(1))
		require.Equal(t, codes.Unavailable, status.Code(err), name)
	}
	_, err = dialBy(t, address, credentials.NewClientTLSFromCert(certificate.Pool, "")).ModelInfer(t.Context(), numbers(1))
	require.Equal(t, codes.Unauthenticated, status.Code(err), "a key is asked for all the same")
}

// TestRenewedCertificate: what is renewed in the files is what clients of either protocol
// get that connect from then on; a connection from before goes on; the service's log tells
// of it.
func TestRenewedCertificate(t *testing.T) {
	t.Parallel()
	old, renewed := testenv.NewCertificate(t), testenv.NewCertificate(t)
	serve := &endpoint.ServeOptions{CertificateFile: old.File, KeyFile: old.KeyFile, GRPC: Listen("127.0.0.1:0")}
	ws := workspacetest.Open(t)
	_, err := ws.Endpoints().Deploy(t.Context(), "double", endpoint.Config{Handler: twice}, &endpoint.DeployOptions{
		Serve: &endpoint.ServeOptions{CertificateFile: old.File, KeyFile: renewed.KeyFile}})
	require.ErrorIs(t, err, azml.ErrInvalid)
	ep, err := ws.Endpoints().Deploy(t.Context(), "double", endpoint.Config{Handler: twice}, &endpoint.DeployOptions{PrimaryKey: "first-key", Serve: serve})
	require.NoError(t, err)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer first-key")
	call := func(pool *x509.CertPool) (byGRPC, byHTTP error) {
		_, byGRPC = dialBy(t, ep.Details().Hosts[0].GRPC, credentials.NewClientTLSFromCert(pool, "")).ModelInfer(ctx, numbers(1))
		_, byHTTP = ep.Invoke(t.Context(), []byte(`{"data": [1]}`), &endpoint.InvokeOptions{RootCAs: pool})
		return byGRPC, byHTTP
	}
	kept := dialBy(t, ep.Details().Hosts[0].GRPC, credentials.NewClientTLSFromCert(old.Pool, ""))
	_, err = kept.ModelInfer(ctx, numbers(1))
	require.NoError(t, err)
	byGRPC, byHTTP := call(old.Pool)
	require.NoError(t, byGRPC)
	require.NoError(t, byHTTP)

	require.NoError(t, os.Rename(renewed.File, old.File))
	require.NoError(t, os.Rename(renewed.KeyFile, old.KeyFile))
	require.Eventually(t, func() bool {
		byGRPC, byHTTP := call(renewed.Pool)
		return byGRPC == nil && byHTTP == nil
	}, time.Minute, 100*time.Millisecond)
	byGRPC, byHTTP = call(old.Pool)
	require.Equal(t, codes.Unavailable, status.Code(byGRPC))
	require.ErrorAs(t, byHTTP, new(x509.UnknownAuthorityError))
	_, err = kept.ModelInfer(ctx, numbers(1))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		log, err := ep.Logs(t.Context(), nil)
		if err != nil { // nothing was written yet
			return false
		}
		defer log.Close()
		text, _ := io.ReadAll(log)
		return strings.Contains(string(text), "the certificate was renewed")
	}, time.Minute, 50*time.Millisecond)
}

// TestStopWaits: a call that is under way is answered when the endpoint stops.
func TestStopWaits(t *testing.T) {
	t.Parallel()
	ws := workspacetest.Open(t)
	began, goOn := make(chan struct{}), make(chan struct{})
	slow := func(ctx context.Context, input json.RawMessage) (any, error) {
		close(began)
		<-goOn
		return twice(ctx, input)
	}
	ep, err := ws.Endpoints().Deploy(t.Context(), "double", endpoint.Config{Handler: slow}, &endpoint.DeployOptions{
		PrimaryKey: "first-key", Serve: &endpoint.ServeOptions{GRPC: Listen("127.0.0.1:0")}})
	require.NoError(t, err)
	c := dial(t, ep.Details().Hosts[0].GRPC)
	answered := make(chan error, 1)
	go func() {
		_, err := c.ModelInfer(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer first-key"), numbers(1))
		answered <- err
	}()
	<-began
	stopped := make(chan error, 1)
	go func() { stopped <- ep.Stop(t.Context()) }()
	require.Eventually(t, func() bool {
		_, err := dial(t, ep.Details().Hosts[0].GRPC).ServerLive(t.Context(), &pb.ServerLiveRequest{})
		return status.Code(err) == codes.Unavailable
	}, time.Minute, 10*time.Millisecond)
	close(goOn)
	require.NoError(t, <-answered)
	require.NoError(t, <-stopped)
}

func TestListenRefused(t *testing.T) {
	t.Parallel()
	ws := workspacetest.Open(t)
	for address, settings := range map[string]*endpoint.Settings{"nowhere": nil, "0.0.0.0:0": {Auth: endpoint.AuthNone}} {
		_, err := ws.Endpoints().Deploy(t.Context(), "double", endpoint.Config{Handler: twice}, &endpoint.DeployOptions{
			Settings: settings, Serve: &endpoint.ServeOptions{GRPC: Listen(address)}})
		require.ErrorIs(t, err, azml.ErrInvalid)
		require.True(t, strings.Contains(err.Error(), address), err)
	}
	taken, err := ws.Endpoints().Deploy(t.Context(), "one", endpoint.Config{Handler: twice}, &endpoint.DeployOptions{
		Serve: &endpoint.ServeOptions{GRPC: Listen("127.0.0.1:0")}})
	require.NoError(t, err)
	_, err = ws.Endpoints().Deploy(t.Context(), "two", endpoint.Config{Handler: twice}, &endpoint.DeployOptions{
		Serve: &endpoint.ServeOptions{GRPC: Listen(taken.Details().Hosts[0].GRPC)}})
	require.ErrorIs(t, err, azml.ErrUnavailable)
}
