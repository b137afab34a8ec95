package token

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

const kind = "token"

// DefaultLife is how long a token is taken unless CreateOptions say otherwise.
const DefaultLife = 30 * 24 * time.Hour

// Client creates, lists, revokes and checks the tokens of a workspace. It is
// safe for concurrent use.
type Client struct{ h core.Handle }

// CreateOptions are the options of Create.
type CreateOptions struct {
	// Life is for how long the token is taken, by default DefaultLife.
	Life time.Duration
}

// Create makes a token. The secret is given this one time: nothing that is
// stored leads back to it. Errors: ErrInvalid.
func (c *Client) Create(ctx context.Context, name string, role Role, opts *CreateOptions) (_ *Token, _ Secret, err error) {
	defer c.h.Operation(&ctx, &err, "create", kind, name)()
	if opts == nil {
		opts = &CreateOptions{}
	}
	life := opts.Life
	if life == 0 {
		life = DefaultLife
	}
	if err := core.TokenName.Check(name); err != nil {
		return nil, "", err
	}
	if err := role.check(); err != nil {
		return nil, "", err
	}
	if life < 0 {
		return nil, "", fmt.Errorf("%w: a life of %s: use a positive one", azml.ErrInvalid, life)
	}
	id := core.NewID(idBytes)
	secret := newSecret(id)
	stored, err := core.Create(ctx, c.h, ref(id), record.AccessToken{ID: id, Name: name, Role: string(role),
		Hash: hash(string(secret)), Expires: c.h.Now().Add(life)})
	if err != nil {
		return nil, "", err
	}
	c.forget()
	return &Token{stored.Value}, secret, nil
}

func ref(id string) core.Ref { return core.Ref{Kind: kind, Name: id, Key: key(id)} }

// ListOptions are the options of List.
type ListOptions struct {
	// Name keeps the tokens of this name, empty all.
	Name string
}

// List yields the tokens by their IDs, also those that are taken no more. It
// reads a record each. Errors: ErrDamaged.
func (c *Client) List(ctx context.Context, opts *ListOptions) iter.Seq2[*Token, error] {
	if opts == nil {
		opts = &ListOptions{}
	}
	return func(yield func(*Token, error) bool) {
		for stored, err := range core.List[record.AccessToken](ctx, c.h, keys, nil) {
			if err != nil {
				core.Wrap(&err, "list", kind, "")
				yield(nil, err)
				return
			}
			if opts.Name != "" && stored.Value.Name != opts.Name {
				continue
			}
			if !yield(&Token{stored.Value}, nil) {
				return
			}
		}
	}
}

// RevokeOptions are the options of Revoke. There are none yet.
type RevokeOptions struct{}

// Revoke makes every server refuse the token: those of this process at once,
// others within a second. It stays in lists. Revoking it again changes nothing.
// Errors: ErrNotFound, ErrInvalid for what is no ID.
func (c *Client) Revoke(ctx context.Context, id string, _ *RevokeOptions) (_ *Token, err error) {
	defer c.h.Operation(&ctx, &err, "revoke", kind, id)()
	if err := core.TokenID.Check(id); err != nil {
		return nil, err
	}
	stored, err := core.Update(ctx, c.h, ref(id), core.Updated("revoked"), func(r *record.AccessToken) error {
		if !r.Revoked.IsZero() {
			return core.ErrNoChange
		}
		r.Revoked = c.h.Now()
		return nil
	})
	c.forget()
	if err != nil {
		return nil, err
	}
	return &Token{stored.Value}, nil
}
