package s3

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/azml-go/azml/backend"
)

const (
	// partSize is the least size of the parts of a large file, maxParts how many
	// a file can have, streams how many go up at once.
	partSize = 16 << 20
	maxParts = 10_000
	streams  = 4
)

// putParts stores a large object in parts, which are put together when all are
// there.
func (s *Store) putParts(ctx context.Context, key string, content backend.Content, put minio.PutObjectOptions) (minio.UploadInfo, error) {
	begin := minio.PutObjectOptions{ContentType: put.ContentType, UserMetadata: maps.Clone(put.UserMetadata)}
	begin.UserMetadata[checksumAlgorithm] = "CRC32C"
	id, err := s.client.NewMultipartUpload(ctx, s.bucket, key, begin)
	if err != nil {
		return minio.UploadInfo{}, err
	}
	parts, err := s.sendParts(ctx, key, id, content)
	if err == nil {
		put.UserMetadata, put.ContentType = nil, ""
		var stored minio.UploadInfo
		if stored, err = s.client.CompleteMultipartUpload(ctx, s.bucket, key, id, parts, put); err == nil {
			return stored, nil
		}
	}
	const patience = 10 * time.Second // the parts would be kept, and paid for
	abort, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	_ = s.client.AbortMultipartUpload(abort, s.bucket, key, id) // what went wrong before is what counts
	return minio.UploadInfo{}, err
}

// sendParts sends all parts, and gives them in their order.
func (s *Store) sendParts(ctx context.Context, key, id string, content backend.Content) ([]minio.CompletePart, error) {
	size := content.Size()
	each := max(partSize, size/maxParts+1)
	parts := make([]minio.CompletePart, (size+each-1)/each)
	errs := make([]error, len(parts))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(streams, len(parts)) {
		wg.Go(func() {
			for i := range next {
				offset := int64(i) * each
				if parts[i], errs[i] = s.sendPart(ctx, key, id, i+1, content, offset, min(each, size-offset)); errs[i] != nil {
					cancel()
				}
			}
		})
	}
	for i := range parts {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	return parts, firstCause(errs, ctx.Err())
}

// firstCause gives the error that made the others end, else last.
func firstCause(errs []error, last error) error {
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return last
}

func (s *Store) sendPart(ctx context.Context, key, id string, number int, content backend.Content, offset, size int64) (minio.CompletePart, error) {
	sum, err := checksum(content, offset, size)
	if err != nil {
		return minio.CompletePart{}, err
	}
	part, err := s.client.PutObjectPart(ctx, s.bucket, key, id, number, io.NewSectionReader(content, offset, size), size,
		minio.PutObjectPartOptions{CustomHeader: http.Header{checksumHeader: {sum}}})
	return minio.CompletePart{PartNumber: number, ETag: part.ETag, ChecksumCRC32C: part.ChecksumCRC32C}, err
}
