package azureblob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/appendblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// maxAppend is the greatest number of bytes of one append.
const maxAppend = 100 << 20

// Append adds to an append blob, or makes one. Errors: also ErrUnsupported for
// what Put made, and for the 50,001st append; ErrInvalid for more than 100 MiB.
func (s *Store) Append(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
	name, err := s.name(key)
	if err != nil {
		return backend.Info{}, err
	}
	if len(data) > maxAppend {
		return backend.Info{}, fmt.Errorf("%w: append to %q: %d bytes at once, of which the service takes %d", azml.ErrInvalid, key, len(data), maxAppend)
	}
	client := s.client.NewAppendBlobClient(name)
	if offset == 0 {
		info, err := s.begin(ctx, client, key, len(data) == 0)
		if err != nil || len(data) == 0 {
			return info, err
		}
	}
	if len(data) == 0 { // which the service refuses
		return s.appendNothing(ctx, client, key, offset)
	}
	return s.add(ctx, client, key, offset, data)
}

// begin creates the append blob unless there is one. That there is one is fine
// when something is to be added to it: the offset decides.
func (s *Store) begin(ctx context.Context, client *appendblob.Client, key string, alone bool) (backend.Info, error) {
	answer, err := client.Create(ctx, &appendblob.CreateOptions{AccessConditions: ifNone()})
	if err == nil {
		return describe(key, answer.ETag, answer.LastModified, 0), nil
	}
	if !bloberror.HasCode(err, bloberror.BlobAlreadyExists, bloberror.ConditionNotMet) {
		return backend.Info{}, s.explain(ctx, "append to", key, err)
	}
	if alone {
		return s.appendNothing(ctx, client, key, 0)
	}
	return backend.Info{}, nil
}

// appendNothing marks an object that ends at the offset as written.
func (s *Store) appendNothing(ctx context.Context, client *appendblob.Client, key string, offset int64) (backend.Info, error) {
	info, err := s.endingAt(ctx, key, offset)
	if err != nil {
		return backend.Info{}, err
	}
	answer, err := client.SetMetadata(ctx, nil, &blob.SetMetadataOptions{AccessConditions: ifMatch(info.ETag)})
	switch {
	case status(err) == http.StatusPreconditionFailed: // an earlier try, or somebody else, has written it
		return s.endingAt(ctx, key, offset)
	case err != nil:
		return backend.Info{}, s.explain(ctx, "append to", key, err)
	}
	return describe(key, answer.ETag, answer.LastModified, info.Size), nil
}

// endingAt describes an object that ends at the offset. Errors: ErrConflict.
func (s *Store) endingAt(ctx context.Context, key string, offset int64) (backend.Info, error) {
	info, err := s.Stat(ctx, key)
	if errors.Is(err, azml.ErrNotFound) || err == nil && info.Size != offset {
		return backend.Info{}, fmt.Errorf("%w: append to %q: it does not end at %d", azml.ErrConflict, key, offset)
	}
	return info, err
}

// add appends at the offset.
func (s *Store) add(ctx context.Context, client *appendblob.Client, key string, offset int64, data []byte) (backend.Info, error) {
	counted, tries := counting(ctx)
	answer, err := client.AppendBlock(counted, streaming.NopCloser(bytes.NewReader(data)), &appendblob.AppendBlockOptions{
		TransactionalValidation:        checksum(data),
		AppendPositionAccessConditions: &appendblob.AppendPositionAccessConditions{AppendPosition: &offset},
	})
	switch {
	case err == nil:
		return describe(key, answer.ETag, answer.LastModified, offset+int64(len(data))), nil
	case bloberror.HasCode(err, bloberror.AppendPositionConditionNotMet), status(err) == 404 && !noContainer(err):
		refusal := fmt.Errorf("%w: append to %q: it does not end at %d: %w", azml.ErrConflict, key, offset, failure(err))
		if tries() > 1 {
			return s.ownAppend(ctx, key, offset, data, refusal)
		}
		return backend.Info{}, refusal
	}
	return backend.Info{}, s.explain(ctx, "append to", key, err)
}

// ownAppend looks whether an earlier try has added data at the offset. Others
// may have added more since.
func (s *Store) ownAppend(ctx context.Context, key string, offset int64, data []byte, refusal error) (backend.Info, error) {
	object, err := s.Get(ctx, key, &backend.GetOptions{Offset: offset, Length: int64(len(data))})
	if errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrInvalid) {
		return backend.Info{}, refusal
	}
	if err != nil {
		return backend.Info{}, err
	}
	defer object.Body.Close()
	there, err := io.ReadAll(object.Body)
	if err != nil {
		return backend.Info{}, err
	}
	if !bytes.Equal(there, data) {
		return backend.Info{}, refusal
	}
	return object.Info, nil
}
