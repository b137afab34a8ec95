// Package inferencepb has the messages and the service of the Open Inference
// Protocol over gRPC, generated from inference.proto by protoc with
// protoc-gen-go and protoc-gen-go-grpc.
package inferencepb

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative inference.proto
