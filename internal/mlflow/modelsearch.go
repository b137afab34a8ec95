package mlflow

import "context"

func (c call) searchRegisteredModels(ctx context.Context, req *searchRegistered) (*searchRegisteredModelsResponse, error) {
	return nil, failf(codeNotImplemented, "not yet")
}

func (c call) searchModelVersions(ctx context.Context, req *searchRegistered) (*searchModelVersionsResponse, error) {
	return nil, failf(codeNotImplemented, "not yet")
}

func (c call) searchLoggedModels(ctx context.Context, req *searchLoggedModels) (*searchLoggedModelsResponse, error) {
	return &searchLoggedModelsResponse{}, nil
}
