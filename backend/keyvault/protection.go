package keyvault

import (
	"context"
	"fmt"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

var _ backend.Protector = (*Store)(nil)

// Protection tells how long the vault keeps deleted secrets, which its secrets
// say: one request. Errors: ErrUnsupported when there is no secret, ErrDenied,
// ErrUnavailable.
func (s *Store) Protection(ctx context.Context) (backend.Protection, error) {
	pager := s.client.NewListSecretPropertiesPager(nil)
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return backend.Protection{}, s.explain("list", "", err)
		}
		for _, p := range page.Value {
			if a := p.Attributes; a != nil && a.RecoverableDays != nil {
				return backend.Protection{SoftDelete: time.Duration(*a.RecoverableDays) * 24 * time.Hour, Versions: true}, nil
			}
		}
	}
	return backend.Protection{}, fmt.Errorf("%w: the key vault %s has no secret that says how long deleted ones are kept", azml.ErrUnsupported, s.vault)
}
