package azureblob

import (
	"context"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/azml-go/azml"
)

// Prepare creates the container unless there is one. Who may not create
// containers gets no error for that: the first write tells whether there is one.
// Errors: ErrUnsupported for a storage account with a hierarchical namespace,
// where there can't be "a" beside "a/b"; ErrDenied, ErrUnavailable.
func (s *Store) Prepare(ctx context.Context) error {
	if err := s.createContainer(ctx); err != nil {
		return err
	}
	account, err := s.client.GetAccountInfo(ctx, nil)
	if err == nil && value(account.IsHierarchicalNamespaceEnabled) { // not everybody may ask
		return fmt.Errorf("%w: the storage account of %s has a hierarchical namespace: use one without", azml.ErrUnsupported, s.place)
	}
	return nil
}

// createContainer creates the container unless there is one, or it may not.
func (s *Store) createContainer(ctx context.Context) error {
	_, err := s.client.Create(ctx, nil)
	if err != nil && status(err) != 403 && !bloberror.HasCode(err, bloberror.ContainerAlreadyExists, bloberror.ResourceAlreadyExists) {
		return s.explain(ctx, "create container", s.place, err)
	}
	return nil
}
