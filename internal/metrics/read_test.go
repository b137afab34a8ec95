package metrics

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMergedByTime(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t, smallLimits)
	var writers []*Writer
	for range 5 {
		writers = append(writers, newWriter(t, l))
	}
	for i := range 200 {
		w := writers[i*7%5]
		require.NoError(t, w.Log("x", float64(i), 0, testTime.Add(time.Duration(i))))
		if i%31 == 0 {
			require.NoError(t, w.Flush(t.Context()))
		}
	}
	for i, p := range readAll(t, l) {
		require.Equal(t, float64(i), p.Value)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t, defaultLimits)
	w := newWriter(t, l)
	for i := range 10 {
		at := testTime.Add(time.Duration(i) * time.Second)
		require.NoError(t, w.Log("a", 1, int64(i), at))
		require.NoError(t, w.Log("b", 1, int64(i), at))
		require.NoError(t, w.Append(Point{Name: "c", Kind: KindList, Value: []any{i}, Time: at}))
	}
	for _, test := range []struct {
		name string
		opts ReadOptions
		want int
	}{
		{"all", ReadOptions{}, 30},
		{"names", ReadOptions{Names: []string{"a", "c", "none"}}, 20},
		{"kinds", ReadOptions{Kinds: []Kind{KindList}}, 10},
		{"since", ReadOptions{Since: testTime.Add(7 * time.Second)}, 9},
		{"both", ReadOptions{Names: []string{"a"}, Since: testTime.Add(7 * time.Second)}, 3},
	} {
		points, err := collectPoints(l.Read(t.Context(), &test.opts))
		require.NoError(t, err)
		require.Len(t, points, test.want, test.name)
	}
	for range l.Read(t.Context(), nil) {
		break
	}
}

func TestReadHonoursItsContext(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t, defaultLimits)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := collectPoints(l.Read(ctx, nil))
	require.ErrorIs(t, err, context.Canceled)
	_, err = l.Summary(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

// TestFollow has writers that flush, close and die while a reader on the same
// machine and one elsewhere follow.
func TestFollow(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	l, objects := newLog(t, smallLimits)
	const points = 1200
	for _, reader := range []*Log{l, Open(objects, testPrefix, nil)} {
		t.Run(fmt.Sprintf("spool %t", reader.spool != ""), func(t *testing.T) {
			reader.limits = smallLimits
			var done atomic.Bool
			before := len(readAll(t, l))
			ready := make(chan struct{})
			logged := make(chan struct{})
			seed := r.IntN(5) + 2
			go func() {
				defer close(logged)
				defer done.Store(true)
				<-ready
				w := newWriter(t, l)
				for i := range points {
					if err := w.Log("x", float64(i), int64(i), time.Time{}); err != nil {
						t.Error(err)
					}
					if i%(seed*11) == 0 {
						_ = w.Flush(t.Context())
					}
					if i%(seed*61) == 0 {
						_ = w.Close(t.Context())
						w = newWriter(t, l)
					}
					if i%100 == 0 {
						time.Sleep(time.Millisecond) // lets the reader look between
					}
				}
				_ = w.Close(t.Context())
			}()
			close(ready)
			got, err := collectPoints(reader.Read(t.Context(), &ReadOptions{Follow: true, Done: func() (bool, error) { return done.Load(), nil }, Poll: time.Microsecond}))
			require.NoError(t, err)
			<-logged
			require.Len(t, got, before+points)
			byWriter(t, got)
		})
	}
}

func TestFollowEndsWithItsContext(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t, defaultLimits)
	w := newWriter(t, l)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.NoError(t, w.Log("x", 1, 0, testTime))
	n := 0
	for _, err := range l.Read(ctx, &ReadOptions{Follow: true, Poll: time.Millisecond}) {
		if n++; n == 1 {
			require.NoError(t, err)
			require.NoError(t, w.Log("x", 2, 0, testTime))
			continue
		}
		if n == 2 {
			require.NoError(t, err)
			cancel()
			continue
		}
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Equal(t, 3, n)
}

func TestSummary(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t, smallLimits)
	w := newWriter(t, l)
	for i, v := range []any{2.5, math.NaN(), int64(-7), math.Inf(1), "text", nil, 1.0} {
		at := testTime.Add(time.Duration(i))
		require.NoError(t, w.Append(Point{Name: "x", Kind: KindScalar, Value: v, Step: int64(i), Time: at}))
	}
	require.NoError(t, w.Append(Point{Name: "l", Kind: KindList, Value: []any{1, 2}}))
	require.NoError(t, w.Append(Point{Name: "l", Kind: KindList, Value: []any{3}}))
	require.NoError(t, w.Flush(t.Context()))
	sums, err := l.Summary(t.Context())
	require.NoError(t, err)
	require.Len(t, sums, 2)
	x := sums["x"]
	require.Equal(t, 2.5, x.First.Value)
	require.Equal(t, 1.0, x.Last.Value)
	require.EqualValues(t, 6, x.Last.Step)
	require.Equal(t, []any{KindScalar, int64(7), int64(4), int64(1), -7.0, math.Inf(1)},
		[]any{x.Kind, x.Count, x.Numbers, x.NaNs, x.Min, x.Max})
	require.Equal(t, []any{int64(3)}, sums["l"].Last.Value)
	require.Equal(t, KindList, sums["l"].Kind)
}
