package azureblob

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // see checksum
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"golang.org/x/sync/errgroup"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

const (
	// singlePut is the size up to which an object is stored by one request: a
	// pack of chunks is.
	singlePut = 32 << 20
	// blockSize is the size of the blocks of larger objects.
	blockSize = 8 << 20
	// maxBlocks is the greatest number of blocks of a blob.
	maxBlocks = 50_000
	// maxRestages bounds how often blocks are sent anew that were lost to other
	// writers of the same object.
	maxRestages = 5
	// tokenName is the metadata that holds the token of a conditional write.
	tokenName = "azmlwrite"
)

// Put stores the object as a block blob. Errors: also ErrInvalid for a key or a
// content that is too long for the service.
func (s *Store) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	name, err := s.name(key)
	if err != nil {
		return backend.Info{}, err
	}
	if err := opts.Wait(); err != nil {
		return backend.Info{}, err
	}
	w := &write{store: s, key: key, name: name, client: s.client.NewBlockBlobClient(name), content: content, condition: ifMatch(opts.IfMatch)}
	if opts.IfNoneMatch {
		w.condition = ifNone()
	}
	if w.condition != nil {
		w.token = rand.Text()
	}
	info, err := w.send(ctx)
	if err = w.explain(ctx, err, opts.IfNoneMatch); w.token == "" || !errors.Is(err, azml.ErrExists) && !errors.Is(err, azml.ErrConflict) {
		return info, err
	}
	return w.own(ctx, err)
}

// write is one Put.
type write struct {
	store     *Store
	key, name string
	client    *blockblob.Client
	content   backend.Content
	condition *blob.AccessConditions
	token     string // of a conditional write
}

// own looks whether the blob that is in the way has our token: then an earlier
// try, or an answer to somebody between us and the service, was ours.
func (w *write) own(ctx context.Context, refusal error) (backend.Info, error) {
	info, token, err := w.store.head(ctx, w.key, w.name)
	switch {
	case status(err) == 404 && !noContainer(err):
		return backend.Info{}, refusal
	case err != nil:
		return backend.Info{}, w.store.explain(ctx, "put", w.key, err)
	case token != w.token:
		return backend.Info{}, refusal
	}
	return info, nil
}

// explain is the store's, but for what is refused since the blob is there.
func (w *write) explain(ctx context.Context, err error, create bool) error {
	if create && (bloberror.HasCode(err, bloberror.BlobAlreadyExists, bloberror.ConditionNotMet) || status(err) == 412) {
		return fmt.Errorf("%w: put %q: %w", azml.ErrExists, w.key, failure(err))
	}
	return w.store.explain(ctx, "put", w.key, err)
}

func (w *write) metadata() map[string]*string {
	if w.token == "" {
		return nil
	}
	return map[string]*string{tokenName: &w.token}
}

func (w *write) send(ctx context.Context) (backend.Info, error) {
	if w.content.Size() > w.store.single {
		return w.sendBlocks(ctx)
	}
	data := make([]byte, w.content.Size())
	if err := w.read(data, 0); err != nil {
		return backend.Info{}, err
	}
	answer, err := w.client.Upload(ctx, streaming.NopCloser(bytes.NewReader(data)), &blockblob.UploadOptions{
		TransactionalValidation: checksum(data), AccessConditions: w.condition, Metadata: w.metadata()})
	if err != nil {
		return backend.Info{}, err
	}
	return describe(w.key, answer.ETag, answer.LastModified, int64(len(data))), nil
}

// checksum gives the MD5 of data, for the service to verify.
func checksum(data []byte) blob.TransferValidationType {
	sum := md5.Sum(data) //nolint:gosec // against faults on the way, not against people
	return blob.TransferValidationTypeMD5(sum[:])
}

// read fills data from the content.
func (w *write) read(data []byte, offset int64) error {
	n, err := w.content.ReadAt(data, offset)
	if n == len(data) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: it ended after %d of %d bytes", azml.ErrInvalid, offset+int64(n), w.content.Size())
	}
	return fmt.Errorf("read what is to be stored as %q: %w", w.key, err)
}

// sendBlocks sends a large object block by block. Whoever commits the same blob
// meanwhile takes our blocks away; then they are sent anew.
func (w *write) sendBlocks(ctx context.Context) (info backend.Info, err error) {
	for range maxRestages {
		var ids []string
		if ids, err = w.stage(ctx); err != nil {
			return backend.Info{}, err
		}
		answer, commitErr := w.client.CommitBlockList(ctx, ids, &blockblob.CommitBlockListOptions{AccessConditions: w.condition, Metadata: w.metadata()})
		if err = commitErr; err == nil {
			return describe(w.key, answer.ETag, answer.LastModified, w.content.Size()), nil
		}
		if !bloberror.HasCode(err, bloberror.InvalidBlockList) {
			break
		}
	}
	return backend.Info{}, err
}

// stage sends the blocks, several at once, and gives their IDs in order.
func (w *write) stage(ctx context.Context) ([]string, error) {
	size := max(w.store.block, (w.content.Size()+maxBlocks-1)/maxBlocks)
	ids := make([]string, (w.content.Size()+size-1)/size)
	var id [16]byte
	_, _ = rand.Read(id[:8]) // never fails
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(w.store.parallel)
	buffers := make(chan []byte, w.store.parallel)
	for i := range ids {
		binary.BigEndian.PutUint64(id[8:], uint64(i))
		ids[i] = base64.StdEncoding.EncodeToString(id[:])
		offset := int64(i) * size
		group.Go(func() error {
			var buffer []byte
			select {
			case buffer = <-buffers:
			default:
				buffer = make([]byte, size)
			}
			defer func() { buffers <- buffer }()
			return w.stageOne(ctx, ids[i], buffer[:min(size, w.content.Size()-offset)], offset)
		})
	}
	return ids, group.Wait()
}

func (w *write) stageOne(ctx context.Context, id string, data []byte, offset int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.read(data, offset); err != nil {
		return err
	}
	_, err := w.client.StageBlock(ctx, id, streaming.NopCloser(bytes.NewReader(data)), &blockblob.StageBlockOptions{TransactionalValidation: checksum(data)})
	return err
}
