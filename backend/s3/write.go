package s3

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/minio/minio-go/v7"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

const (
	checksumHeader    = "X-Amz-Checksum-Crc32c"
	checksumAlgorithm = "X-Amz-Checksum-Algorithm"
	// tokenKey is the metadata by which a writer whose answer was lost knows its
	// own object.
	tokenKey = "Azml-Write"
)

// Put stores an object: in one request, or in parts when it is large. minio-go's
// own PutObject does that, too, but leaves the condition out when it completes
// the parts. Errors: ErrExists when IfNoneMatch is set and the object is there.
func (s *Store) Put(ctx context.Context, path string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	if err := ctx.Err(); err != nil {
		return backend.Info{}, err
	}
	if err := opts.Wait(); err != nil {
		return backend.Info{}, err
	}
	token := random()
	put := minio.PutObjectOptions{ContentType: "application/octet-stream", UserMetadata: map[string]string{tokenKey: token}}
	if opts.IfNoneMatch {
		put.SetMatchETagExcept("*")
	}
	store := s.putWhole
	if content.Size() > partSize {
		store = s.putParts
	}
	stored, err := store(ctx, s.prefix+path, content, put)
	if err == nil {
		return backend.Info{Key: path, Size: content.Size(), ETag: backend.ETag(stored.ETag), Modified: stored.LastModified.UTC()}, nil
	}
	return s.settle(ctx, path, token, opts.IfNoneMatch, s.fail(ctx, err))
}

// settle looks what became of a Put that has failed. The object may be there because the
// request was sent twice. And a server that refuses one before it has read its content may
// close the connection so that the refusal is lost.
func (s *Store) settle(ctx context.Context, path, token string, create bool, failed error) (backend.Info, error) {
	cutOff := create && errors.Is(failed, azml.ErrUnavailable)
	if !cutOff && !errors.Is(failed, azml.ErrExists) && !errors.Is(failed, azml.ErrNotFound) {
		return backend.Info{}, failed
	}
	there, err := s.client.StatObject(ctx, s.bucket, s.prefix+path, minio.StatObjectOptions{})
	switch {
	case err != nil:
		return backend.Info{}, failed
	case there.UserMetadata[tokenKey] == token:
		return s.info(there), nil
	case cutOff:
		return backend.Info{}, fmt.Errorf("%w: bucket %s", azml.ErrExists, s.bucket)
	}
	return backend.Info{}, failed
}

func (s *Store) putWhole(ctx context.Context, key string, content backend.Content, put minio.PutObjectOptions) (minio.UploadInfo, error) {
	size := content.Size()
	sum, err := checksum(content, 0, size)
	if err != nil {
		return minio.UploadInfo{}, err
	}
	put.UserMetadata[checksumHeader] = sum
	return s.client.PutObject(ctx, s.bucket, key, io.NewSectionReader(content, 0, size), size, "", "", put)
}

// checksum gives the CRC-32C of a range of the content as S3 takes it. Reading
// it twice is cheap; a sum behind the bytes, which would save that, is not
// understood by all servers.
func checksum(content io.ReaderAt, offset, size int64) (string, error) {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	n, err := io.Copy(sum, io.NewSectionReader(content, offset, size))
	if err == nil && n != size {
		err = fmt.Errorf("%w: the content ended after %d of %d bytes", azml.ErrInvalid, offset+n, offset+size)
	}
	return base64.StdEncoding.EncodeToString(sum.Sum(nil)), err
}

// Delete removes an object. Errors: ErrNotFound.
func (s *Store) Delete(ctx context.Context, path string, _ *backend.DeleteOptions) error {
	if _, err := s.Stat(ctx, path); err != nil { // deleting what is not there is no error in S3
		return err
	}
	return s.fail(ctx, s.client.RemoveObject(ctx, s.bucket, s.prefix+path, minio.RemoveObjectOptions{}))
}

func random() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
