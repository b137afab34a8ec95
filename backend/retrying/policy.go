// Package retrying makes a store try again when it is unavailable. It is the
// only place of the library that does, so that tries never multiply.
//
// # Lost answers
//
// A write that ended with ErrUnavailable may have been done. When the next try
// then meets its own effect, the store looks before it reports a failure:
//
//   - Put create-only that gets ErrExists, and Put with IfMatch that gets
//     ErrConflict, read the object back. The same bytes mean that an earlier
//     try was the one that wrote. Records carry an unguessable write token, so
//     equal bytes are an own write; for bytes that others write alike
//     (content-addressed chunks) it makes no difference who did.
//   - Append that gets ErrConflict reads the range that it would have written,
//     and compares in the same way.
//   - Delete that gets ErrNotFound has succeeded: the object is gone, and who
//     removed it can't be told.
//
// A Put without condition is done again as it is. When the last try fails, the
// error is ErrUnavailable and the write may still have been done.
//
// # Reading
//
// A body that breaks is opened again where it broke, and goes on only if the
// object still has the same ETag; else reading ends with ErrConflict. A list
// that breaks goes on after the last key it gave.
package retrying

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/azml-go/azml"
)

// Options say how often and how long to try.
type Options struct {
	// Attempts is the greatest number of tries of one call, the first one
	// counted. Default 6.
	Attempts int
	// Base is the pause after the first try; it doubles with each. What is
	// waited is a random time between half of it and the whole. Default 50 ms.
	Base time.Duration
	// Max is the longest pause. Default 5 s.
	Max time.Duration
	// Elapsed is the time from the start of a call after which no further try
	// is begun. Default 30 s.
	Elapsed time.Duration
	// Logger is told about every try that failed. Default: none.
	Logger *slog.Logger
}

// policy is Options with the defaults filled in.
type policy struct{ Options }

func newPolicy(opts *Options) policy {
	var p policy
	if opts != nil {
		p.Options = *opts
	}
	if p.Attempts <= 0 {
		p.Attempts = 6
	}
	if p.Base <= 0 {
		p.Base = 50 * time.Millisecond
	}
	if p.Max <= 0 {
		p.Max = 5 * time.Second
	}
	if p.Elapsed <= 0 {
		p.Elapsed = 30 * time.Second
	}
	if p.Logger == nil {
		p.Logger = slog.New(slog.DiscardHandler)
	}
	return p
}

// do calls try until it gives anything but ErrUnavailable, within the bounds.
func (p policy) do(ctx context.Context, op, name string, try func() error) error {
	start, pause := time.Now(), p.Base
	for attempt := 1; ; attempt++ {
		err := try()
		if !errors.Is(err, azml.ErrUnavailable) {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s %q: %w after: %w", op, name, ctx.Err(), err)
		}
		wait := pause/2 + rand.N(pause/2+1)
		if attempt == p.Attempts || time.Since(start)+wait > p.Elapsed {
			return fmt.Errorf("%w (gave up after %d tries)", err, attempt)
		}
		p.Logger.WarnContext(ctx, "store unavailable, trying again", "op", op, "name", name, "try", attempt, "wait", wait, "error", err)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%s %q: %w while waiting to try again after: %w", op, name, ctx.Err(), err)
		}
		pause = min(2*pause, p.Max)
	}
}
