package metrics

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// cutOff is a store that can't be reached for a while, by the clock.
type cutOff struct {
	backend.Objects
	from, to time.Time
	refused  int
}

func (c *cutOff) there() error {
	if now := time.Now(); now.Before(c.from) || now.After(c.to) {
		return nil
	}
	c.refused++
	return fmt.Errorf("%w: %w", azml.ErrUnavailable, errors.New("the cable is out"))
}

func (c *cutOff) Append(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
	if err := c.there(); err != nil {
		return backend.Info{}, err
	}
	return c.Objects.Append(ctx, key, offset, data)
}

func (c *cutOff) Stat(ctx context.Context, key string) (backend.Info, error) {
	if err := c.there(); err != nil {
		return backend.Info{}, err
	}
	return c.Objects.Stat(ctx, key)
}

// TestCutOffForAMinute logs on while the store can't be reached, and finds all in
// the store a second after it can, without anybody asking for it.
func TestCutOffForAMinute(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		_, objects := newLog(t, smallLimits)
		start := time.Now()
		store := &cutOff{Objects: objects, from: start.Add(10 * time.Second), to: start.Add(70 * time.Second)}
		l := openLog(t, store, dir, smallLimits)
		w := newWriter(t, l)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go w.Run(ctx)
		points := 0
		for time.Since(start) < 80*time.Second {
			require.NoError(t, w.Log("x", float64(points), int64(points), time.Time{}))
			points++
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		require.GreaterOrEqual(t, store.refused, 59, "it was tried each second")
		require.EqualValues(t, points, w.Stored())
		elsewhere := openLog(t, objects, "", smallLimits)
		require.Len(t, readAll(t, elsewhere), points)
	})
}
