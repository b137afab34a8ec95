package inferencegrpc

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/openinference"
	pb "github.com/azml-go/azml/internal/openinference/inferencepb"
)

// service answers the protocol's calls.
type service struct {
	pb.UnimplementedGRPCInferenceServiceServer
	models openinference.Repository
	opts   openinference.Options
}

// register adds the protocol's service to a server. Who may ask, and how large a
// message may be, is the server's business.
func register(s grpc.ServiceRegistrar, models openinference.Repository, opts openinference.Options) {
	pb.RegisterGRPCInferenceServiceServer(s, &service{models: models, opts: opts})
}

// refuse gives an error as the client is to see it: its text where it is the
// client's to know.
func (s *service) refuse(err error) error {
	switch {
	case errors.Is(err, azml.ErrNotFound):
		return status.Error(codes.NotFound, err.Error())
	case errors.Is(err, azml.ErrInvalid):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, azml.ErrDenied):
		return status.Error(codes.PermissionDenied, err.Error())
	case errors.Is(err, openinference.ErrUnloaded):
		return status.Error(codes.Unavailable, err.Error())
	}
	if s.opts.Failed != nil {
		s.opts.Failed(err)
	}
	switch {
	case errors.Is(err, azml.ErrUnavailable):
		return status.Error(codes.Unavailable, "the model can't be asked now")
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "the model took too long")
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "the client has gone away")
	}
	return status.Error(codes.Internal, "the model has failed")
}

// ServerLive implements the service.
func (s *service) ServerLive(context.Context, *pb.ServerLiveRequest) (*pb.ServerLiveResponse, error) {
	return &pb.ServerLiveResponse{Live: true}, nil
}

// ServerReady implements the service: all models can be asked.
func (s *service) ServerReady(ctx context.Context, _ *pb.ServerReadyRequest) (*pb.ServerReadyResponse, error) {
	ready, err := openinference.AllReady(ctx, s.models)
	if err != nil {
		return nil, s.refuse(err)
	}
	return &pb.ServerReadyResponse{Ready: ready}, nil
}

// ServerMetadata implements the service.
func (s *service) ServerMetadata(context.Context, *pb.ServerMetadataRequest) (*pb.ServerMetadataResponse, error) {
	return &pb.ServerMetadataResponse{Name: s.opts.Name, Version: s.opts.Version, Extensions: openinference.Extensions()}, nil
}

// ModelReady implements the service.
func (s *service) ModelReady(ctx context.Context, req *pb.ModelReadyRequest) (*pb.ModelReadyResponse, error) {
	m, err := s.models.Model(ctx, req.GetName(), req.GetVersion())
	if err != nil {
		return nil, s.refuse(err)
	}
	return &pb.ModelReadyResponse{Ready: m.Ready() == nil}, nil
}

// ModelMetadata implements the service.
func (s *service) ModelMetadata(ctx context.Context, req *pb.ModelMetadataRequest) (*pb.ModelMetadataResponse, error) {
	m, err := s.models.Model(ctx, req.GetName(), req.GetVersion())
	if err != nil {
		return nil, s.refuse(err)
	}
	return &pb.ModelMetadataResponse{Name: m.Metadata.Name, Versions: m.Metadata.Versions, Platform: m.Metadata.Platform,
		Inputs: described(m.Metadata.Inputs), Outputs: described(m.Metadata.Outputs)}, nil
}

func described(tensors []openinference.TensorMetadata) []*pb.ModelMetadataResponse_TensorMetadata {
	var out []*pb.ModelMetadataResponse_TensorMetadata
	for _, t := range tensors {
		out = append(out, &pb.ModelMetadataResponse_TensorMetadata{Name: t.Name, Datatype: string(t.Datatype), Shape: t.Shape})
	}
	return out
}

// ModelInfer implements the service. Outputs come as the inputs did: as raw bytes
// or as lists of values.
func (s *service) ModelInfer(ctx context.Context, req *pb.ModelInferRequest) (*pb.ModelInferResponse, error) {
	m, err := s.models.Model(ctx, req.GetModelName(), req.GetModelVersion())
	if err != nil {
		return nil, s.refuse(err)
	}
	asked, err := request(req)
	if err != nil {
		return nil, s.refuse(err)
	}
	said, err := m.Infer(ctx, asked)
	if err != nil {
		return nil, s.refuse(err)
	}
	return response(said, len(req.GetRawInputContents()) > 0), nil
}

// RepositoryIndex implements the service.
func (s *service) RepositoryIndex(ctx context.Context, req *pb.RepositoryIndexRequest) (*pb.RepositoryIndexResponse, error) {
	entries, err := s.models.Index(ctx)
	if err != nil {
		return nil, s.refuse(err)
	}
	out := &pb.RepositoryIndexResponse{}
	for _, e := range entries {
		if !req.GetReady() || e.State == openinference.Ready {
			out.Models = append(out.Models, &pb.RepositoryIndexResponse_ModelIndex{Name: e.Name, Version: e.Version, State: string(e.State), Reason: e.Reason})
		}
	}
	return out, nil
}

// notChanged says why a model was not loaded or unloaded.
func (s *service) notChanged(err error) error {
	if errors.Is(err, azml.ErrFailed) {
		return status.Error(codes.Internal, err.Error())
	}
	return s.refuse(err)
}

// RepositoryModelLoad implements the service.
func (s *service) RepositoryModelLoad(ctx context.Context, req *pb.RepositoryModelLoadRequest) (*pb.RepositoryModelLoadResponse, error) {
	if len(req.ProtoReflect().GetUnknown()) > 0 { // parameters, which would load another model than the one that was deployed
		return nil, s.refuse(fmt.Errorf("%w: parameters are not taken: a model is loaded as it was deployed", azml.ErrInvalid))
	}
	if err := s.models.Load(ctx, req.GetModelName()); err != nil {
		return nil, s.notChanged(err)
	}
	return &pb.RepositoryModelLoadResponse{}, nil
}

// RepositoryModelUnload implements the service.
func (s *service) RepositoryModelUnload(ctx context.Context, req *pb.RepositoryModelUnloadRequest) (*pb.RepositoryModelUnloadResponse, error) {
	if err := s.models.Unload(ctx, req.GetModelName()); err != nil {
		return nil, s.notChanged(err)
	}
	return &pb.RepositoryModelUnloadResponse{}, nil
}
