// Package pause waits, unless there is nothing to wait for any more.
package pause

import (
	"context"
	"time"
)

// For waits so long. It gives false, at once, when ctx ends before, and true also for a
// time that is over.
func For(ctx context.Context, by time.Duration) bool {
	timer := time.NewTimer(by)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
