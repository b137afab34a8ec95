package backend

import (
	"context"
	"time"
)

// Protector is an optional interface of Objects and Secrets for stores that can
// tell how they keep what was deleted or replaced.
type Protector interface {
	// Protection tells the store's settings, by a request or two. Errors:
	// ErrUnsupported when they can't be told, ErrDenied when the caller may not
	// ask.
	Protection(ctx context.Context) (Protection, error)
}

// Protection is how a store keeps what was deleted or replaced.
type Protection struct {
	// SoftDelete is how long what was deleted can be had back, 0 for not at all.
	SoftDelete time.Duration
	// Versions says that what was replaced can be had back, too.
	Versions bool
}
