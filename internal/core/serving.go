package core

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/record"
)

// EndpointPrefix is the prefix of the records of endpoints. It is here, below
// the packages endpoint and model, because both look: a model that is served
// can't be deleted, and one that was deleted can't be served.
const EndpointPrefix = "endpoints/"

// ServedBy gives the name of an endpoint that serves, or is about to serve, the model of that ID, ""
// when there is none.
func ServedBy(ctx context.Context, h Handle, modelID string) (string, error) {
	for name, err := range h.Children(ctx, EndpointPrefix) {
		if err != nil {
			return "", err
		}
		if !strings.HasSuffix(name, ".json") {
			continue
		}
		stored, err := Get[record.Endpoint](ctx, h, EndpointPrefix+name)
		if err != nil && !errors.Is(err, azml.ErrNotFound) {
			return "", err
		}
		if err == nil && stored.Value.Active() && slices.Contains(stored.Value.Models, modelID) {
			return stored.Value.Name, nil
		}
	}
	return "", nil
}
