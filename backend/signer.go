package backend

import (
	"context"
	"time"
)

// Signer is an optional interface of Objects and DataFiles for stores that can
// make URLs which are a permission by themselves: whoever has one may do a single
// thing for a while, with any HTTP client and without an account.
type Signer interface {
	// Sign makes a URL for an object, or for all objects below a folder, a key
	// with "/" at its end. It does not look whether they are there. The URL is a
	// secret as long as it is good, and can't be taken back but with the
	// credential that signed it. Errors: ErrUnsupported when the store can't limit
	// a URL like this, or the credential can't sign; ErrInvalid for a time that is
	// longer than the store allows.
	Sign(ctx context.Context, key string, opts *SignOptions) (string, error)
}

// SignOptions are the options of Signer.Sign.
type SignOptions struct {
	// Expires is how long the URL is good, more than nothing.
	Expires time.Duration
	// Write lets the URL store the object, by PUT, and not read it.
	Write bool
}
