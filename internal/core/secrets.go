package core

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/azml-go/azml"
)

// SecretValues gives the values of the secrets that are there, by their names as
// they are given. It has up to eight requests under way at once. Errors:
// ErrInvalid for a name that is none, the secret store's.
func SecretValues(ctx context.Context, h Handle, names []string) (map[string]string, error) {
	for _, name := range names {
		if err := SecretName.Check(name); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	const most = 8
	var (
		mu     sync.Mutex
		values = map[string]string{}
		slots  = make(chan struct{}, most)
		all    sync.WaitGroup
	)
	for _, name := range names {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			value, err := h.Secrets().Get(ctx, name)
			switch {
			case errors.Is(err, azml.ErrNotFound):
			case err != nil:
				cancel(fmt.Errorf("secret %q: %w", name, err)) // the first counts
			default:
				mu.Lock()
				values[name] = value
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return values, nil
}
