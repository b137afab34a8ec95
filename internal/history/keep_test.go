package history

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// keeper is a run that is being kept inside a bubble of synctest.
type keeper struct {
	run   record.Run
	store *hooked
	h     core.Handle
	stop  context.CancelFunc
	ended chan error
}

func keep(t *testing.T) *keeper {
	k := &keeper{store: &hooked{Objects: memory.NewObjects()}, ended: make(chan error, 1)}
	k.h = core.New(core.Config{Objects: k.store, Secrets: memory.NewSecrets(), CacheDir: t.TempDir()})
	t.Cleanup(func() { require.NoError(t, k.h.Close(context.Background())) })
	k.run = create(t, k.h, "r").Value
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	k.stop = stop
	go func() { k.ended <- Keep(ctx, k.h, k.run) }()
	time.Sleep(time.Minute)
	synctest.Wait()
	require.Empty(t, k.ended)
	return k
}

// end gives what Keep says within a second.
func (k *keeper) end(t *testing.T) error {
	t.Helper()
	time.Sleep(time.Second)
	synctest.Wait()
	select {
	case err := <-k.ended:
		return err
	default:
		t.Fatal("Keep goes on")
		return nil
	}
}

func TestKeepEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t)
		beat, err := k.store.Objects.Stat(t.Context(), heartbeatKey(k.run))
		require.NoError(t, err)
		require.Less(t, time.Since(beat.Modified), BeatEvery+time.Second)
		k.stop()
		require.NoError(t, k.end(t))
	})
}

func TestKeepSeesACancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t)
		_, err := Transition(t.Context(), k.h, "r", Step{To: record.CancelRequested})
		require.NoError(t, err)
		require.ErrorIs(t, k.end(t), ErrCancelRequested)
	})
}

// A run that was taken for lost goes on where it was when its process is back.
func TestKeepTakesTheRunBack(t *testing.T) {
	for _, was := range []record.Status{record.Running, record.Finalizing} {
		t.Run(string(was), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := keep(t)
				steps := []record.Status{was, record.NotResponding}
				if was == record.Running {
					steps = steps[1:]
				}
				for _, to := range steps {
					_, err := Transition(t.Context(), k.h, "r", Step{To: to})
					require.NoError(t, err)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				require.Empty(t, k.ended)
				run, err := Get(t.Context(), k.h, "r")
				require.NoError(t, err)
				require.Equal(t, was, run.Value.Status)
				beat, err := k.store.Objects.Stat(t.Context(), heartbeatKey(k.run))
				require.NoError(t, err)
				require.Less(t, time.Since(beat.Modified), 2*time.Second, "nobody finds it silent again")
				_, err = Transition(t.Context(), k.h, "r", Step{To: record.CancelRequested})
				require.NoError(t, err)
				require.ErrorIs(t, k.end(t), ErrCancelRequested)
			})
		})
	}
}

func TestKeepSeesTheEndAndTheLossOfTheRun(t *testing.T) {
	for name, happens := range map[string]func(ctx context.Context, h core.Handle) error{
		"ended": func(ctx context.Context, h core.Handle) error {
			_, err := Transition(ctx, h, "r", Step{To: record.Failed})
			return err
		},
		"taken": func(ctx context.Context, h core.Handle) error {
			_, err := Update(ctx, h, "r", core.Quiet, func(r *record.Run) error { r.Owner = &record.Owner{ID: "other"}; return nil })
			return err
		},
		"deleted": func(ctx context.Context, h core.Handle) error {
			return h.Objects().Delete(ctx, Ref("r").Key, &backend.DeleteOptions{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := keep(t)
				require.NoError(t, happens(t.Context(), k.h))
				require.ErrorIs(t, k.end(t), ErrTaken)
			})
		})
	}
}

func TestKeepGoesOnWhileTheStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t)
		k.store.set(func() {
			k.store.fail = func(string, string) error { return fmt.Errorf("%w: injected", azml.ErrUnavailable) }
		})
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Empty(t, k.ended)
		k.store.set(func() { k.store.fail = nil })
		time.Sleep(time.Second)
		beat, err := k.store.Objects.Stat(t.Context(), heartbeatKey(k.run))
		require.NoError(t, err)
		require.Less(t, time.Since(beat.Modified), 2*time.Second, "it beats as soon as the store answers")
		_, err = Transition(t.Context(), k.h, "r", Step{To: record.CancelRequested})
		require.NoError(t, err)
		require.ErrorIs(t, k.end(t), ErrCancelRequested)
	})
}

// The store's clock counts, whatever this machine's says; where this machine's
// clock gives no reason, the store is not asked.
func TestSilence(t *testing.T) {
	t.Parallel()
	truth := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, test := range map[string]struct {
		skew, age, want time.Duration
		probes          int
	}{
		"just beaten":                    {0, time.Second, 0, 0},
		"long silent":                    {0, 10 * time.Minute, 10 * time.Minute, 1},
		"clock ahead, just beaten":       {time.Hour, time.Second, time.Second, 1},
		"clock behind, just beaten":      {-time.Hour, time.Second, time.Second, 1},
		"clock behind, long silent":      {-time.Hour, 10 * time.Minute, 10 * time.Minute, 1},
		"clock a little ahead":           {time.Minute, 30 * time.Second, 0, 0},
		"clock a little behind, silent":  {-time.Minute, 4 * time.Minute, 4 * time.Minute, 1},
		"at the limit":                   {0, SilentAfter, SilentAfter, 1},
		"clock ahead by just that much":  {SilentAfter, 0, 0, 1},
		"clock behind by just that much": {-SilentAfter, 0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &hooked{Objects: memory.NewObjects()}
			h := setupClock(t, store, func() time.Time { return truth.Add(test.skew) })
			run := create(t, h, "r").Value
			probes := 0
			store.set(func() {
				store.modified = func(key string) time.Time {
					if strings.Contains(key, "clock-") {
						probes++
						return truth
					}
					return truth.Add(-test.age)
				}
			})
			silence, err := Silence(t.Context(), h, run)
			require.NoError(t, err)
			require.Equal(t, test.want, silence)
			require.Equal(t, test.probes, probes)
			for info, err := range h.Objects().List(t.Context(), &backend.ListOptions{Prefix: Prefix + "r/"}) {
				require.NoError(t, err)
				require.NotContains(t, info.Key, "clock-", "the probe is removed")
			}
		})
	}
	_, err := Silence(t.Context(), setup(t, memory.NewObjects()), record.Run{ID: "none"})
	require.True(t, errors.Is(err, azml.ErrNotFound))
}
