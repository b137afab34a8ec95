package azureblob

import (
	"context"
	"fmt"
	"mime"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

const (
	// longestSigned is how long a key that a user delegates can be good.
	longestSigned = 7 * 24 * time.Hour
	// clockSkew is by how much the service's clock may be behind ours.
	clockSkew = 15 * time.Minute
)

// Sign makes a shared access signature that is good for one blob and for reading
// or for writing it: by the account's key, or by one that the caller's identity
// delegates, for which it needs the role "Storage Blob Delegator" beside its own.
// One for a folder is good for reading and listing, or for writing, what is below
// it, in accounts with a hierarchical namespace alone. A reader saves a blob under
// the last part of its name. Write with the header "x-ms-blob-type: BlockBlob".
// Errors: ErrUnsupported for a folder in any other account, and for stores that
// were opened with a signature; ErrInvalid beyond seven days; ErrDenied.
func (s *Store) Sign(ctx context.Context, key string, opts *backend.SignOptions) (string, error) {
	if opts.Expires <= 0 || opts.Expires > longestSigned {
		return "", fmt.Errorf("%w: a URL can be good for up to seven days, not %s", azml.ErrInvalid, opts.Expires)
	}
	values, err := s.signature(ctx, key, opts)
	if err != nil {
		return "", err
	}
	query, err := s.sign(ctx, values)
	if err != nil {
		return "", err
	}
	target := s.client.NewBlobClient(values.Directory + values.BlobName).URL()
	return target + "?" + query.Encode(), nil
}

// signature says what the URL is good for, and no more than that.
func (s *Store) signature(ctx context.Context, key string, opts *backend.SignOptions) (sas.BlobSignatureValues, error) {
	folder, isFolder := strings.CutSuffix(key, "/")
	name, err := s.name(folder)
	if err != nil {
		return sas.BlobSignatureValues{}, err
	}
	u, err := url.Parse(s.client.URL())
	if err != nil {
		return sas.BlobSignatureValues{}, fmt.Errorf("%w: the container's URL can't be read", azml.ErrInvalid)
	}
	v := sas.BlobSignatureValues{ContainerName: path.Base(u.Path), Protocol: sas.ProtocolHTTPS, ExpiryTime: time.Now().UTC().Add(opts.Expires)}
	if u.Scheme == "http" { // an emulator
		v.Protocol = sas.ProtocolHTTPSandHTTP
	}
	permissions := sas.BlobPermissions{Read: !opts.Write, Create: opts.Write, Write: opts.Write, List: isFolder && !opts.Write}
	v.Permissions = permissions.String()
	if isFolder {
		v.Directory = name
		return v, s.hierarchical(ctx)
	}
	if v.BlobName = name; !opts.Write {
		v.ContentDisposition = mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(key)})
	}
	return v, nil
}

// hierarchical gives an error where a signature can't be limited to a folder.
func (s *Store) hierarchical(ctx context.Context) error {
	account, err := s.client.GetAccountInfo(ctx, nil)
	if err != nil {
		return s.explain(ctx, "ask for the kind of account of", s.place, err)
	}
	if !value(account.IsHierarchicalNamespaceEnabled) {
		return fmt.Errorf("%w: the storage account of %s has no hierarchical namespace, where a URL can be for one file but not for a folder", azml.ErrUnsupported, s.place)
	}
	return nil
}

func (s *Store) sign(ctx context.Context, v sas.BlobSignatureValues) (query sas.QueryParameters, err error) {
	switch {
	case s.credential.key != nil:
		query, err = v.SignWithSharedKey(s.credential.key)
	case s.credential.token != nil:
		var key *service.UserDelegationCredential
		if key, err = s.delegated.until(ctx, s.account, v.ExpiryTime); err != nil {
			return query, s.explain(ctx, "get a key to sign by for", s.place, err)
		}
		query, err = v.SignWithUserDelegation(key)
	default:
		return query, fmt.Errorf("%w: only an account's key and an identity can make URLs, not a shared access signature", azml.ErrUnsupported)
	}
	if err != nil {
		return query, fmt.Errorf("%w: the URL can't be signed: %w", azml.ErrInvalid, err)
	}
	return query, nil
}

// delegation is a key that the caller's identity has delegated, kept as long as it
// is good.
type delegation struct {
	mu   sync.Mutex
	key  *service.UserDelegationCredential
	ends time.Time
}

// until gives a key that is good until a time at least.
func (d *delegation) until(ctx context.Context, account *service.Client, end time.Time) (*service.UserDelegationCredential, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.key != nil && !end.After(d.ends) {
		return d.key, nil
	}
	text := func(t time.Time) *string { return new(t.UTC().Format(sas.TimeFormat)) }
	key, err := account.GetUserDelegationCredential(ctx, service.KeyInfo{Start: text(time.Now().Add(-clockSkew)), Expiry: text(end)}, nil)
	if err == nil {
		d.key, d.ends = key, end
	}
	return key, err
}
