package metrics

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/memory"
)

// TestSealCutOff has the store stop after each write of a sealing in turn, as
// it seems to a process that dies there: what is there can be read, is sound,
// and can be sealed.
func TestSealCutOff(t *testing.T) {
	t.Parallel()
	for _, again := range []bool{false, true} {
		for writes := 1; ; writes++ {
			store := memory.NewObjects()
			l := openLog(t, store, t.TempDir(), smallLimits)
			logRandom(t, l, 2, 60)
			if again {
				mustSeal(t, l)
				logRandom(t, l, 2, 60)
			}
			want := readAll(t, l)
			sums, err := l.Summary(t.Context())
			require.NoError(t, err)
			dying := openLog(t, faulty.New(store, faulty.Plan{StopAfterWrites: writes}), t.TempDir(), smallLimits)
			_, sealErr := dying.Seal(t.Context())
			for range 2 {
				same(t, want, readAll(t, l))
				sameSummaries(t, sums, l)
				damage, err := l.Verify(t.Context(), nil)
				require.NoError(t, err)
				require.Empty(t, damage)
				mustSeal(t, l)
			}
			segments, _ := keys(t, l)
			require.Zero(t, segments)
			left, err := l.Leftovers(t.Context())
			require.NoError(t, err)
			require.LessOrEqual(t, len(left), 4)
			for _, info := range left {
				require.NoError(t, store.Delete(t.Context(), info.Key, &backend.DeleteOptions{}))
			}
			same(t, want, readAll(t, l))
			sound(t, l)
			if sealErr == nil && len(left) == 0 {
				require.GreaterOrEqual(t, writes, 3)
				break
			}
		}
	}
}

// TestSealFaulty seals over a store that fails at random, and loses answers.
func TestSealFaulty(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	store := memory.NewObjects()
	l := openLog(t, store, t.TempDir(), smallLimits)
	bad := openLog(t, faulty.New(store, faulty.Plan{Seed: r.Uint64(), Errors: 0.02, Lost: 0.02, Torn: 0.02}), t.TempDir(), smallLimits)
	failed := 0
	for range 30 {
		logRandom(t, l, 1, 20)
		want := readAll(t, l)
		if _, err := bad.Seal(t.Context()); err != nil {
			require.ErrorIs(t, err, azml.ErrUnavailable)
			failed++
		}
		same(t, want, readAll(t, l))
	}
	require.Positive(t, failed)
	mustSeal(t, l)
	damage, err := l.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, damage)
}

// TestLogThroughOutage cuts the store off while points are logged, and lets it
// come back: the same writer catches up. The outage lasts 50 tries to ship; for
// users, who ship once a second, that is most of a minute.
func TestLogThroughOutage(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	store := newFaulty(r)
	l := openLog(t, store, t.TempDir(), smallLimits)
	w := newWriter(t, l)
	const points = 15_000
	for i := range points {
		require.NoError(t, w.Log("x", float64(i), int64(i), time.Time{}))
		if i%100 > 0 {
			continue
		}
		if store.rate = 0; i/100 >= 50 && i/100 < 100 {
			store.rate = 1
			require.ErrorIs(t, w.Flush(t.Context()), azml.ErrUnavailable)
		} else {
			require.NoError(t, w.Flush(t.Context()))
		}
	}
	require.NoError(t, w.Close(t.Context()))
	require.Len(t, readAll(t, l), points)
	require.EqualValues(t, points, mustSeal(t, l).Points)
	sound(t, l)
}

// shortObjects breaks off bodies as a cut connection does.
type shortObjects struct{ backend.Objects }

func (s shortObjects) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	obj, err := s.Objects.Get(ctx, key, opts)
	if err == nil {
		obj.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(obj.Body, (obj.Info.Size-opts.Offset)/2), obj.Body}
	}
	return obj, err
}

// TestShortBody: less than there is must not be taken for a frame that was cut
// off, neither by readers nor by a sealing, which deletes what it has read.
func TestShortBody(t *testing.T) {
	t.Parallel()
	store := memory.NewObjects()
	l := openLog(t, store, t.TempDir(), smallLimits)
	logRandom(t, l, 1, 100)
	short := openLog(t, shortObjects{store}, t.TempDir(), smallLimits)
	_, err := collectPoints(short.Read(t.Context(), nil))
	require.ErrorIs(t, err, azml.ErrUnavailable)
	_, err = short.Seal(t.Context())
	require.Error(t, err)
	require.Len(t, readAll(t, l), 100)
	require.EqualValues(t, 100, mustSeal(t, l).Points)
}
