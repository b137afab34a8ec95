package s3

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Type is the type of datastores that are buckets.
const Type = "S3"

// amazon is the server when none is named.
const amazon = "https://s3.amazonaws.com"

// Driver opens buckets as datastores. Facts of a connection are "endpoint" (a
// URL), "bucket", "region", "prefix" and "accessKeyId"; credentials are
// "secretAccessKey" and "sessionToken".
type Driver struct{}

// Type gives Type.
func (Driver) Type() string { return Type }

// Open implements backend.DatastoreDriver.
func (Driver) Open(_ context.Context, source backend.DatastoreSource) (backend.Datastore, error) {
	facts := source.Connection
	endpoint := facts["endpoint"]
	if endpoint == "" {
		endpoint = amazon
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || strings.Trim(u.Path, "/")+u.RawQuery+u.Fragment != "" {
		return nil, fmt.Errorf("%w: endpoint of the bucket: use https://host or http://host:port, nothing more", azml.ErrInvalid)
	}
	secure := u.Scheme == "https"
	transport, err := minio.DefaultTransport(secure)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
	}
	const tries = 5 // with minio-go's waits some seconds
	client, err := minio.New(u.Host, &minio.Options{
		Creds:  credentials.NewStaticV4(facts["accessKeyId"], source.Credentials["secretAccessKey"], source.Credentials["sessionToken"]),
		Secure: secure, Transport: transport, Region: facts["region"], MaxRetries: tries,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: bucket: %w", azml.ErrInvalid, err)
	}
	return &Store{client: minio.Core{Client: client}, transport: transport, bucket: facts["bucket"], prefix: facts["prefix"], region: facts["region"]}, nil
}

// Store is an opened bucket. It is safe for concurrent use.
type Store struct {
	client    minio.Core
	transport *http.Transport
	bucket    string
	prefix    string
	region    string
}

// Close ends connections that are idle.
func (s *Store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// Check implements backend.Datastore: it lists one object, which also tells
// whether the credentials are good.
func (s *Store) Check(ctx context.Context) error {
	for object := range s.client.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix, MaxKeys: 1, Recursive: true}) {
		return s.fail(ctx, object.Err)
	}
	return nil
}

// Create implements backend.DatastoreCreator.
func (s *Store) Create(ctx context.Context) error {
	err := s.client.MakeBucket(ctx, s.bucket, minio.MakeBucketOptions{Region: s.region})
	switch minio.ToErrorResponse(err).Code {
	case "BucketAlreadyOwnedByYou", "BucketAlreadyExists": // of others: Check tells
		return nil
	}
	return s.fail(ctx, err)
}

// fail gives an error of minio-go its class, and says what to do where that is
// known.
func (s *Store) fail(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	response := minio.ToErrorResponse(err)
	class, hint := azml.ErrUnavailable, ""
	switch response.Code {
	case "NoSuchKey", "NoSuchUpload", "NoSuchVersion":
		class = azml.ErrNotFound
	case "NoSuchBucket":
		class, hint = azml.ErrNotFound, ": there is no bucket "+s.bucket
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
		class, hint = azml.ErrDenied, ": the credentials have expired: register the datastore anew with new ones"
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "AuthorizationHeaderMalformed":
		class, hint = azml.ErrDenied, ": the credentials are refused: register the datastore anew with the right ones"
	case "RequestTimeTooSkewed":
		class, hint = azml.ErrDenied, ": set the clock of this machine right"
	case "AccessDenied", "AllAccessDisabled", "AccountProblem":
		class = azml.ErrDenied
	case "PreconditionFailed", "ConditionalRequestConflict":
		class = azml.ErrExists
	case "InvalidRange", "InvalidBucketName", "KeyTooLongError", "XMinioInvalidObjectName", "EntityTooLarge", "InvalidArgument":
		class = azml.ErrInvalid
	case "NotImplemented", "MethodNotAllowed", "XNotImplemented":
		class = azml.ErrUnsupported
	default:
		class = classOfStatus(response.StatusCode)
	}
	return fmt.Errorf("%w: bucket %s: %w%s", class, s.bucket, err, hint)
}

func classOfStatus(status int) error {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return azml.ErrDenied
	case http.StatusNotFound:
		return azml.ErrNotFound
	case http.StatusPreconditionFailed:
		return azml.ErrExists
	case http.StatusBadRequest, http.StatusRequestedRangeNotSatisfiable:
		return azml.ErrInvalid
	}
	return azml.ErrUnavailable
}
