package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// Offer gives an agent what it is to do after its run, nil for nothing: whatever
// bytes, which Next hands on. It may wait until there is something. ctx ends when the
// agent is gone.
type Offer func(ctx context.Context) ([]byte, error)

// Offering has the handler answer Next by the offer; without one, Next is refused. It
// is for before the handler serves.
func (h *Handler) Offering(offer Offer) *Handler {
	h.calls["next"] = func(w http.ResponseWriter, r *http.Request) error {
		next, err := offer(r.Context())
		return tell(w, next, err)
	}
	return h
}

// Next asks at the gateway what to do after the run of this token, and waits until it
// is said; nil is nothing. It asks once. Errors: ErrUnsupported when there never is
// anything, ErrDenied, ErrUnavailable.
func Next(ctx context.Context, address, token string) (next []byte, err error) {
	client, err := Dial(address, token)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	return ask[[]byte](ctx, client, "next", url.Values{}, nil)
}
