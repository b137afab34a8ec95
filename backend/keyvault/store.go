package keyvault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/internal/trybody"
)

// nameTag is the tag with the spelling of a secret's name.
const nameTag = "azml-name"

// Store is a secret store in a vault. It is safe for concurrent use, and any
// number of stores in any number of processes may use a vault. It starts no
// goroutines and needs no closing.
type Store struct {
	client *azsecrets.Client
	vault  string // its URL
}

// Options are the options of New.
type Options struct {
	// Client are the SDK's own options: retries, transport, cloud, version of
	// the interface. That bodies of requests are logged is switched off: they
	// are the values.
	Client azsecrets.ClientOptions
}

var _ backend.Secrets = (*Store)(nil)

// New makes a store in the vault of that URL, such as
// https://contoso.vault.azure.net, for whom the credential says. It sends
// nothing. The caller needs the role "Key Vault Secrets Officer" on the vault,
// or "Key Vault Secrets User" to read alone. Errors: ErrInvalid.
func New(vaultURL string, credential azcore.TokenCredential, opts *Options) (*Store, error) {
	if opts == nil {
		opts = &Options{}
	}
	u, err := url.Parse(vaultURL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: the URL of the key vault can't be read: give one such as https://NAME.vault.azure.net", azml.ErrInvalid)
	case u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%w: not the URL of a key vault (its host is %q): give one such as https://NAME.vault.azure.net, without a path, a query or a user", azml.ErrInvalid, u.Host) // what else it has may be a credential
	case credential == nil:
		return nil, fmt.Errorf("%w: the key vault %s needs a credential, such as that of azidentity.NewDefaultAzureCredential", azml.ErrInvalid, u.Host)
	}
	options := opts.Client
	options.Logging.IncludeBody = false
	options.PerRetryPolicies = append(slices.Clone(options.PerRetryPolicies), answers{}, trybody.Policy{})
	vault := "https://" + strings.ToLower(u.Host)
	client, err := azsecrets.NewClient(vault, credential, &options)
	if err != nil {
		return nil, fmt.Errorf("%w: the key vault %s: %w", azml.ErrInvalid, u.Host, err)
	}
	return &Store{client, vault}, nil
}

// URL gives the URL of the vault.
func (s *Store) URL() string { return s.vault }

// Set stores the value as the next version of the secret; the name keeps its
// first spelling. A value that is no text can have 18,744 bytes at most. See the
// package about names that were deleted. Errors: ErrInvalid for a name or value
// that the vault does not take, ErrDenied, ErrConflict for a secret of a
// certificate, ErrUnavailable.
func (s *Store) Set(ctx context.Context, name, value string) error {
	text, contentType, err := encode(value)
	if err != nil {
		return fmt.Errorf("%w: the value of secret %q %w", azml.ErrInvalid, name, err)
	}
	tags, err := s.tags(ctx, name)
	if err != nil {
		return err
	}
	params := azsecrets.SetSecretParameters{Value: &text, ContentType: contentType, Tags: tags}
	err = s.settle(ctx, name, func() error {
		_, err := s.client.SetSecret(ctx, strings.ToLower(name), params, nil)
		return err
	})
	return s.explain("set", name, err)
}

// tags gives the tags that the next version of the secret is to have: those of
// the version before, and the spelling of the name. Who may write only, or meets
// a secret that is disabled, begins anew.
func (s *Store) tags(ctx context.Context, name string) (map[string]*string, error) {
	old, err := s.client.GetSecret(ctx, strings.ToLower(name), "", nil)
	err = s.explain("look at", name, err)
	if err != nil && !errors.Is(err, azml.ErrNotFound) && !errors.Is(err, azml.ErrDenied) && !errors.Is(err, errChanging) {
		return nil, err
	}
	tags := map[string]*string{nameTag: &name}
	if err == nil {
		name = spelling(old.ID, old.Tags)
		maps.Copy(tags, old.Tags)
		tags[nameTag] = &name
	}
	return tags, nil
}

// spelling gives the name of a secret as it was first spelled.
func spelling(id *azsecrets.ID, tags map[string]*string) string {
	name := id.Name()
	if tag := tags[nameTag]; tag != nil && strings.EqualFold(*tag, name) {
		return *tag
	}
	return name
}

// Get gives the value of the newest version. Errors: ErrNotFound; ErrDenied,
// also for a secret that is disabled, expired or not valid yet; ErrUnavailable;
// ErrDamaged.
func (s *Store) Get(ctx context.Context, name string) (string, error) {
	var answer *http.Response
	found, err := s.client.GetSecret(policy.WithCaptureResponse(ctx, &answer), strings.ToLower(name), "", nil)
	if err != nil {
		return "", s.explain("get", name, err)
	}
	if err := valid(name, found.Attributes, answer); err != nil {
		return "", err
	}
	return decode(name, found.Value, found.ContentType)
}

// valid tells whether the secret may be used now, by the vault's clock. A vault
// hands out what has expired, for those who want it back.
func valid(name string, a *azsecrets.SecretAttributes, answer *http.Response) error {
	now := time.Now()
	if answer != nil {
		if date, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
			now = date
		}
	}
	switch {
	case a == nil:
		return nil
	case a.Expires != nil && !now.Before(*a.Expires):
		return fmt.Errorf("%w: secret %q has expired at %s: set it again, or change its expiration date in the vault", azml.ErrDenied, name, a.Expires.UTC().Format(time.RFC3339))
	case a.NotBefore != nil && now.Before(*a.NotBefore):
		return fmt.Errorf("%w: secret %q is not valid before %s: set it again, or change its activation date in the vault", azml.ErrDenied, name, a.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

// List yields the names, sorted by their lower-case form, as they were when the
// listing began: it reads all before it yields the first. Secrets of
// certificates, which the vault manages, are left out. Errors: ErrDenied,
// ErrUnavailable.
func (s *Store) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var names []string
		pager := s.client.NewListSecretPropertiesPager(nil)
		for pager.More() {
			page, err := pager.NextPage(ctx)
			if err != nil {
				yield("", s.explain("list", "", err))
				return
			}
			for _, p := range page.Value {
				if p.Managed == nil || !*p.Managed {
					names = append(names, spelling(p.ID, p.Tags))
				}
			}
		}
		slices.SortFunc(names, func(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) })
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				yield("", fmt.Errorf("list secrets: %w", err))
				return
			}
			if !yield(name, nil) {
				return
			}
		}
	}
}

// Delete removes the secret; the vault keeps it for those who may recover it.
// Errors: ErrNotFound, ErrDenied, ErrConflict for a secret of a certificate,
// ErrUnavailable.
func (s *Store) Delete(ctx context.Context, name string) error {
	ctx, lost := watchAnswers(ctx)
	err := s.settle(ctx, name, func() error {
		_, err := s.client.DeleteSecret(ctx, strings.ToLower(name), nil)
		return err
	})
	err = s.explain("delete", name, err)
	if lost.Load() && errors.Is(err, azml.ErrNotFound) {
		return nil // it was there when the request was first sent
	}
	return err
}
