package backend

import (
	"context"
	"iter"
)

// Secrets is a secret store: a flat map from names to values. Names are 1 to
// 127 characters of letters, digits and "-" (Azure Key Vault's rule); names
// that differ only in case are the same secret, and List gives the spelling of
// the first Set. A value is any string up to 25,000 bytes; a store of text may
// take fewer of one that isn't text, at least 18,744, and gives ErrInvalid.
//
// Values appear in no log, error or listing. All methods are safe for
// concurrent use by any number of processes.
type Secrets interface {
	// Set stores the value, replacing an older one. It returns when the value
	// is durable; a Set that fails leaves the older value.
	Set(ctx context.Context, name, value string) error

	// Get gives the value. Errors: ErrNotFound.
	Get(ctx context.Context, name string) (string, error)

	// List yields the names, sorted by their lower-case form. Rules as
	// Objects.List.
	List(ctx context.Context) iter.Seq2[string, error]

	// Delete removes the secret; a later Set of the same name works at once.
	// Errors: ErrNotFound.
	Delete(ctx context.Context, name string) error
}
