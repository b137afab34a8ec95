package token

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// Sweep is for package workspace: it removes the tokens that were revoked, or
// have expired, before that time, and gives how many; with dryRun it removes
// none. The one that was created last always stays, so that a workspace which
// once had tokens is never open to everybody again.
func Sweep(ctx context.Context, h core.Handle, before time.Time, dryRun bool) (n int, err error) {
	var all []core.Stored[record.AccessToken]
	for stored, err := range core.List[record.AccessToken](ctx, h, keys, nil) {
		if err != nil {
			return 0, err
		}
		all = append(all, stored)
	}
	slices.SortFunc(all, func(a, b core.Stored[record.AccessToken]) int {
		return cmp.Or(a.Value.Created.Compare(b.Value.Created), cmp.Compare(a.Value.ID, b.Value.ID))
	})
	for _, stored := range all[:max(len(all)-1, 0)] {
		if !ended(stored.Value).Before(before) {
			continue
		}
		if !dryRun {
			err := core.Delete(ctx, h, ref(stored.Value.ID), stored.ETag)
			if err != nil && !errors.Is(err, azml.ErrConflict) {
				return n, err
			}
		}
		n++
	}
	return n, nil
}

// ended gives from when on the token is refused.
func ended(t record.AccessToken) time.Time {
	if !t.Revoked.IsZero() && t.Revoked.Before(t.Expires) {
		return t.Revoked
	}
	return t.Expires
}
