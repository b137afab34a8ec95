package azureblob

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Store is an object store in a container. It is safe for concurrent use by any
// number of processes.
type Store struct {
	client   *container.Client
	account  *service.Client // nil when New made the store
	prefix   string          // empty, or with "/" at its end; that of a datastore is any
	asIs     bool            // all blobs have the keys as names, as those of files have
	place    string          // account and container, for people
	parallel int
	single   int64  // the size up to which one request stores an object
	block    int64  // the size of the blocks of larger ones
	idle     func() // closes idle connections

	credential Credential // zero when New made the store
	delegated  delegation
}

var (
	_ backend.Objects = (*Store)(nil)
	_ backend.Signer  = (*Store)(nil)
)

// Options are the options of a Store.
type Options struct {
	// Prefix is the beginning of all keys in the container, such as "team/ml",
	// so that several stores share it. It is a legal key, with or without "/" at
	// its end. Keys get shorter by it: see backend.MaxKeyLen. Default: none.
	Prefix string
	// Parallel is how many blocks of one large object are sent at once. Each
	// takes 8 MiB of memory. Default 4.
	Parallel int
	// Retry says how often requests are sent again that failed. Zero fields mean 6
	// times, after 200 ms and then ever longer, up to 30 s. Only [Open] looks at it.
	Retry policy.RetryOptions
	// Transport sends requests. Default: connections of the store's own, which
	// end with Close. Only [Open] looks at it.
	Transport policy.Transporter
	// Stall is how long nothing may move on a connection of the store's own
	// until it is given up. Default one minute.
	Stall time.Duration
}

// New makes a store of a container client of the SDK, which keeps its own
// credential and its own policy of retries. Nil options mean the defaults. It
// sends nothing. Errors: ErrInvalid for a prefix that is no key, and without a client.
func New(client *container.Client, opts *Options) (*Store, error) {
	if client == nil {
		return nil, fmt.Errorf("%w: no client of a container was given: make one by the SDK, or use Open", azml.ErrInvalid)
	}
	if opts == nil {
		opts = &Options{}
	}
	prefix := strings.TrimSuffix(opts.Prefix, "/")
	if prefix != "" {
		if err := backend.ValidKey(prefix); err != nil {
			return nil, fmt.Errorf("prefix: %w", err)
		}
		prefix += "/"
	}
	place, err := placeOf(client.URL())
	if err != nil {
		return nil, err
	}
	parallel := opts.Parallel
	if parallel <= 0 {
		parallel = 4
	}
	return &Store{client: client, prefix: prefix, place: place, parallel: parallel, single: singlePut, block: blockSize, idle: func() {}}, nil
}

// placeOf names the container for people: its URL without a query, which may
// hold a signature.
func placeOf(containerURL string) (string, error) {
	u, err := url.Parse(containerURL)
	if err != nil || u.Host == "" || strings.Trim(u.Path, "/") == "" {
		return "", fmt.Errorf("%w: not the URL of a container, such as https://ACCOUNT.blob.core.windows.net/CONTAINER", azml.ErrInvalid)
	}
	return u.Scheme + "://" + u.Host + strings.TrimSuffix(u.Path, "/"), nil
}

// String names the container, without a credential.
func (s *Store) String() string { return s.place + "/" + s.prefix }

// GoString is String: a store shows nothing of what is inside, however it is
// printed.
func (s *Store) GoString() string { return "azureblob.Store(" + s.String() + ")" }

// Close ends the idle connections of a store that opened its own. It is no error
// to use the store afterwards.
func (s *Store) Close() error {
	s.idle()
	return nil
}

// name gives the name of the blob of a key. Errors: ErrInvalid for a key that the
// service has no name for.
func (s *Store) name(key string) (string, error) {
	name := s.spell(key, true)
	if s.ofFile(key) {
		if err := checkFile(key); err != nil {
			return "", err
		}
	}
	return name, checkName(name, key)
}

// ofFile tells whether blobs of keys that begin so have them as names.
func (s *Store) ofFile(key string) bool {
	return s.asIs || strings.HasPrefix(key, backend.FilesPrefix)
}

// spell gives the name of a whole key's blob, or that with which the names begin
// of all keys that begin so.
func (s *Store) spell(key string, whole bool) string {
	switch {
	case s.asIs:
		return s.prefix + key
	case s.ofFile(key):
		return spell(s.prefix, false) + key
	}
	return spell(s.prefix+key, whole)
}

// Stat describes the object.
func (s *Store) Stat(ctx context.Context, key string) (backend.Info, error) {
	name, err := s.name(key)
	if err != nil {
		return backend.Info{}, err
	}
	info, _, err := s.head(ctx, key, name)
	return info, s.explain(ctx, "stat", key, err)
}

// head asks for a blob's properties and its write token.
func (s *Store) head(ctx context.Context, key, name string) (backend.Info, string, error) {
	answer, err := s.client.NewBlobClient(name).GetProperties(ctx, nil)
	if err != nil {
		return backend.Info{}, "", err
	}
	info := describe(key, answer.ETag, answer.LastModified, value(answer.ContentLength))
	info.Created = value(answer.CreationTime).UTC()
	for header, token := range answer.Metadata { // the server may change its case
		if strings.EqualFold(header, tokenName) {
			return info, value(token), nil
		}
	}
	return info, "", nil
}

// Delete removes the object. A delete that had to be sent again succeeds when
// the object is gone. Errors: ErrNotFound; ErrConflict; ErrDenied for an object
// with snapshots, a lease or a policy against it.
func (s *Store) Delete(ctx context.Context, key string, opts *backend.DeleteOptions) error {
	name, err := s.name(key)
	if err != nil {
		return err
	}
	counted, tries := counting(ctx)
	_, err = s.client.NewBlobClient(name).Delete(counted, &blob.DeleteOptions{AccessConditions: ifMatch(opts.IfMatch)})
	if status(err) == http.StatusPreconditionFailed { // which a blob that is not there may be, too
		if _, _, gone := s.head(ctx, key, name); status(gone) == http.StatusNotFound {
			err = gone
		}
	}
	if status(err) == http.StatusNotFound && !noContainer(err) && tries() > 1 {
		return nil
	}
	return s.explain(ctx, "delete", key, err)
}
