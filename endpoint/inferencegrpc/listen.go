package inferencegrpc

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/endpoint"
	pb "github.com/azml-go/azml/internal/openinference/inferencepb"
	"github.com/azml-go/azml/internal/scoring"
	"github.com/azml-go/azml/internal/telemetry"
)

// Listen gives the protocol for endpoint.ServeOptions, to be served on host:port;
// port 0 is a free one, which Host.GRPC tells. Clients send the endpoint's key or
// token as metadata, "authorization: Bearer <key>", but for whether the server is
// live and ready. A message may be as large as a body over HTTP when serving begins.
func Listen(address string) endpoint.Protocol { return protocol{address} }

type protocol struct{ address string }

// Address gives the address that it is to listen on.
func (p protocol) Address() string { return p.address }

// The bounds of connections: idle ones end, and those whose client is gone.
const (
	idleTime  = 2 * time.Minute
	aliveTime = time.Minute
	deadTime  = 20 * time.Second
	mostCalls = 1000 // of a connection at once
)

// Serve implements endpoint.Protocol.
func (p protocol) Serve(ctx context.Context, service scoring.Inference, config *tls.Config, recorder *telemetry.Recorder) (string, func(context.Context), error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.address)
	if err != nil {
		return "", nil, fmt.Errorf("%w: gRPC: %w", azml.ErrUnavailable, err)
	}
	const overhead = 64 << 10 // names, shapes and lengths
	opts := []grpc.ServerOption{grpc.UnaryInterceptor(guard(service)), grpc.MaxConcurrentStreams(mostCalls),
		grpc.MaxRecvMsgSize(int(service.Options().MaxBody) + overhead), grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleTime, Time: aliveTime, Timeout: deadTime})}
	if tracers, meters, ok := recorder.Providers(); ok {
		opts = append(opts, grpc.StatsHandler(otelgrpc.NewServerHandler(otelgrpc.WithTracerProvider(tracers), otelgrpc.WithMeterProvider(meters),
			otelgrpc.WithPropagators(propagation.TraceContext{}))))
	}
	if config != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(config)))
	}
	server := grpc.NewServer(opts...)
	register(server, service.Models(), service.Options())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // it ends by stop alone: an Accept that fails is tried again
	}()
	return listener.Addr().String(), func(ctx context.Context) {
		cut := context.AfterFunc(ctx, server.Stop)
		server.GracefulStop()
		cut()
		<-done
	}, nil
}

// guard lets in whom the endpoint admits, and writes its log of requests.
func guard(service scoring.Inference) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (answer any, err error) {
		defer func() {
			if v := recover(); v != nil { // net/http does so by itself
				service.Options().Failed(fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
				err = status.Error(codes.Internal, "the model has failed")
			}
		}()
		probe := info.FullMethod == pb.GRPCInferenceService_ServerLive_FullMethodName || info.FullMethod == pb.GRPCInferenceService_ServerReady_FullMethodName
		if probe {
			return next(ctx, req)
		}
		sent := metadata.ValueFromIncomingContext(ctx, "authorization")
		why := service.Admits(strings.Join(sent, ","))
		asking, asked, problem := service.Begin(ctx, heard(ctx, req, info.FullMethod))
		defer func() {
			sendHeaders(ctx, asked.Headers())
			describe(asked.Call(), req, answer)
			asked.Call().Status = httpStatus(status.Code(err))
			service.Note(asked.Call())
		}()
		switch {
		case why != "":
			return nil, status.Error(codes.Unauthenticated, why)
		case problem != nil:
			return nil, status.Error(codes.InvalidArgument, problem.Error())
		}
		return next(asking, req)
	}
}

// heard gives a call as a request over HTTP is seen, whose headers are the metadata. The
// ID of the message counts where the metadata has none.
func heard(ctx context.Context, message any, method string) *scoring.Request {
	req := &scoring.Request{Method: "gRPC", Path: method, Header: http.Header{}}
	sent, _ := metadata.FromIncomingContext(ctx)
	for name, values := range sent {
		switch {
		case name == ":authority":
			req.Host = strings.Join(values, ",")
		case strings.HasPrefix(name, ":"), strings.HasPrefix(name, "grpc-"), strings.HasSuffix(name, "-bin"): // gRPC's own, and bytes
		default:
			req.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	if client, ok := peer.FromContext(ctx); ok {
		req.RemoteAddr = client.Addr.String()
	}
	if infer, ok := message.(*pb.ModelInferRequest); ok && req.Header.Get(headerID) == "" && isHeader(infer.GetId()) {
		req.Header.Set(headerID, infer.GetId())
	}
	return req
}

// headerID has the ID of a request and of its answer.
const headerID = "X-Request-Id"

// isHeader tells whether an ID of a message can be one of a request.
func isHeader(id string) bool {
	const longest = 100
	return len(id) <= longest && !strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r > '~' })
}

// sendHeaders sends headers of an answer as its metadata, those that gRPC can send.
func sendHeaders(ctx context.Context, headers http.Header) {
	for name, values := range headers {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "grpc-") {
			continue
		}
		for _, value := range values {
			_ = grpc.SetHeader(ctx, metadata.Pairs(name, value)) // what has no form there is left out
		}
	}
}

// describe gives a call what its messages tell.
func describe(call *scoring.Call, req, answer any) {
	if asked, ok := req.(proto.Message); ok {
		call.In = int64(proto.Size(asked))
	}
	if said, ok := answer.(proto.Message); ok {
		call.Out = int64(proto.Size(said))
	}
	if said, ok := answer.(*pb.ModelInferResponse); ok {
		call.Deployment = said.GetModelVersion()
	}
}

// httpStatus gives the status that HTTP has for what a code says.
func httpStatus(code codes.Code) int {
	switch code {
	case codes.OK:
		return http.StatusOK
	case codes.InvalidArgument:
		return http.StatusBadRequest
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.NotFound:
		return http.StatusNotFound
	case codes.Canceled:
		return 499 // as everywhere in the log of requests
	case codes.PermissionDenied:
		return http.StatusForbidden
	case codes.Unimplemented:
		return http.StatusNotImplemented
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	case codes.DeadlineExceeded:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}
