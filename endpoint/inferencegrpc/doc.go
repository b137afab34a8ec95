// Package inferencegrpc serves endpoints by the Open Inference Protocol, version 2,
// over gRPC: the calls and models that an endpoint has over HTTP below /v2, on an
// address of its own.
//
//	opts := &endpoint.ServeOptions{GRPC: inferencegrpc.Listen("127.0.0.1:8001")}
//
// It is a package of its own because it links google.golang.org/grpc.
package inferencegrpc
