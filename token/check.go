package token

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

const (
	// maxAge bounds the age of what a check goes by: a token that another
	// process has revoked is refused after that.
	maxAge = time.Second
	// useGrain is how exactly the last use is known: that is worth a write an
	// hour, and not one for each request.
	useGrain = time.Hour
)

// Check gives the token whose secret this is, if it is taken now. It asks the
// store once a second at most, for all callers of the process together, with
// one request and one more for each token that has changed. Errors: ErrDenied for a token that is unknown, revoked or
// expired; ErrUnavailable when the store can't be asked.
func (c *Client) Check(ctx context.Context, secret string) (_ *Token, err error) {
	defer c.h.Operation(&ctx, &err, "check", kind, "")()
	ring, err := c.keyring()
	if err != nil {
		return nil, err
	}
	view, err := ring.view(ctx, c.h)
	if err != nil {
		return nil, err
	}
	id := idOf(secret)
	// An unknown ID takes the same way with an empty hash, which no secret has.
	stored := view.tokens[id]
	if subtle.ConstantTimeCompare([]byte(hash(secret)), []byte(stored.Value.Hash)) != 1 {
		return nil, errUnknown
	}
	t := &Token{stored.Value}
	now := c.h.Now()
	switch d := t.Details(); d.State(now) {
	case StateRevoked:
		return nil, fmt.Errorf("%w: the token %s was revoked", azml.ErrDenied, d.Name)
	case StateExpired:
		return nil, fmt.Errorf("%w: the token %s expired at %s", azml.ErrDenied, d.Name, d.Expires.Format(time.RFC3339))
	}
	if ring.claimUse(id, now, stored.Value.LastUsed) {
		c.noteUse(ctx, id, now)
	}
	return t, nil
}

// Any tells whether the workspace has, or ever had, a token: then nothing is
// to be answered without one. It is as fresh and costs as much as Check. Errors:
// ErrUnavailable.
func (c *Client) Any(ctx context.Context) (_ bool, err error) {
	defer c.h.Operation(&ctx, &err, "look for", kind, "")()
	ring, err := c.keyring()
	if err != nil {
		return false, err
	}
	view, err := ring.view(ctx, c.h)
	if err != nil {
		return false, err
	}
	return len(view.tokens) > 0, nil
}

// noteUse writes down that the token was used. A use that can't be noted is no
// reason to refuse it.
func (c *Client) noteUse(ctx context.Context, id string, now time.Time) {
	_, err := core.Update(ctx, c.h, ref(id), core.Quiet, func(r *record.AccessToken) error {
		if now.Sub(r.LastUsed) < useGrain {
			return core.ErrNoChange
		}
		r.LastUsed = now
		return nil
	})
	if err != nil {
		c.h.Logger().WarnContext(ctx, "the use of a token was not noted", "token", id, "error", err)
	}
}

// keyring is what this process knows of the tokens of an opened workspace.
type keyring struct {
	known atomic.Pointer[view]
	// asking is held by who asks the store.
	asking chan struct{}

	mu   sync.Mutex
	used map[string]time.Time // when the use of a token was last noted
}

// view is all tokens of a moment.
type view struct {
	asOf   time.Time
	tokens map[string]core.Stored[record.AccessToken] // by ID
}

// Close implements io.Closer for core.Own; there is nothing to close.
func (*keyring) Close() error { return nil }

// keyring gives the one of the opened workspace. Errors: ErrClosed.
func (c *Client) keyring() (*keyring, error) {
	return core.Own(c.h, func(core.Handle) (*keyring, error) {
		k := &keyring{asking: make(chan struct{}, 1), used: map[string]time.Time{}}
		k.known.Store(&view{})
		return k, nil
	})
}

// forget makes the next check ask the store: what this process has changed holds
// at once.
func (c *Client) forget() {
	if k, err := c.keyring(); err == nil { // a closed workspace checks nothing
		k.forget()
	}
}

// forget makes the view an old one. A reading that is under way meanwhile is not
// kept.
func (k *keyring) forget() { k.known.Store(&view{tokens: k.known.Load().tokens}) }

// view gives the tokens as they were a second ago at most.
func (k *keyring) view(ctx context.Context, h core.Handle) (*view, error) {
	if v := k.known.Load(); v.fresh(h.Now()) {
		return v, nil
	}
	select {
	case k.asking <- struct{}{}:
		defer func() { <-k.asking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	before := k.known.Load()
	if before.fresh(h.Now()) { // by who asked while this one waited
		return before, nil
	}
	v, err := read(ctx, h, before)
	if err != nil {
		return nil, err
	}
	k.known.CompareAndSwap(before, v)
	return v, nil
}

func (v *view) fresh(now time.Time) bool {
	return now.Sub(v.asOf) < maxAge && !now.Before(v.asOf)
}

// read reads the tokens, those that have changed since before.
func read(ctx context.Context, h core.Handle, before *view) (*view, error) {
	v := &view{asOf: h.Now(), tokens: map[string]core.Stored[record.AccessToken]{}}
	for info, err := range h.Objects().List(ctx, &backend.ListOptions{Prefix: keys}) {
		if err != nil {
			return nil, err
		}
		id := keyID(info.Key)
		if known, ok := before.tokens[id]; ok && known.ETag == info.ETag {
			v.tokens[id] = known
			continue
		}
		stored, err := core.Get[record.AccessToken](ctx, h, info.Key)
		switch {
		case errors.Is(err, azml.ErrNotFound):
			continue
		case errors.Is(err, azml.ErrDamaged), errors.Is(err, azml.ErrUnsupported):
			// It lets nobody in and keeps nobody else out.
			h.Logger().WarnContext(ctx, "a token can't be read and is refused", "key", info.Key, "error", err)
			stored = core.Stored[record.AccessToken]{ETag: info.ETag}
		case err != nil:
			return nil, err
		}
		v.tokens[id] = stored
	}
	return v, nil
}

// claimUse tells whether the caller is to note the use of the token.
func (k *keyring) claimUse(id string, now, noted time.Time) bool {
	if now.Sub(noted) < useGrain {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Sub(k.used[id]) < useGrain {
		return false
	}
	k.used[id] = now
	return true
}
