package metrics

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		point Point
		text  string
	}{
		{"no name", Point{Kind: KindScalar, Value: 1.0}, "empty or not UTF-8"},
		{"name not UTF-8", Point{Name: "\xff", Kind: KindScalar, Value: 1.0}, "empty or not UTF-8"},
		{"unknown kind", Point{Name: "x", Kind: "scalr", Value: 1.0}, `unknown kind "scalr"`},
		{"no kind", Point{Name: "x", Value: 1.0}, "unknown kind"},
		{"scalar of a struct", Point{Name: "x", Kind: KindScalar, Value: struct{}{}}, "struct {}"},
		{"huge unsigned", Point{Name: "x", Kind: KindScalar, Value: uint64(math.MaxUint64)}, "int64 range"},
		{"string not UTF-8", Point{Name: "x", Kind: KindScalar, Value: "\xff"}, "not UTF-8"},
		{"nested list", Point{Name: "x", Kind: KindList, Value: []any{1, []any{2}}}, "element 1"},
		{"table of a map", Point{Name: "x", Kind: KindTable, Value: map[string]any{}}, "Column"},
		{"ragged table", Point{Name: "x", Kind: KindTable, Value: []Column{{"a", []any{1}}, {"b", []any{1, 2}}}}, `column "b" has 2 values and column "a" has 1`},
		{"two columns of a name", Point{Name: "x", Kind: KindTable, Value: []Column{{"a", []any{1}}, {"a", []any{2}}}}, "two columns"},
		{"nested column", Point{Name: "x", Kind: KindTable, Value: []Column{{"a", []any{[]any{}}}}}, `column "a"`},
		{"image without path", Point{Name: "x", Kind: KindImage, Value: ""}, "path"},
		{"matrix of bytes", Point{Name: "x", Kind: KindConfusionMatrix, Value: []byte("{}")}, "path"},
		{"time before 1678", Point{Name: "x", Kind: KindScalar, Value: 1.0, Time: time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC)}, "1678"},
		{"other kind", Point{Name: "taken", Kind: KindList, Value: []any{1}}, `"taken" is a scalar and can't be logged as a list`},
	}
	l, _ := newLog(t, defaultLimits)
	w := newWriter(t, l)
	require.NoError(t, w.Log("taken", 1, 0, testTime))
	for _, test := range tests {
		err := w.Append(test.point)
		require.ErrorIs(t, err, azml.ErrInvalid, test.name)
		require.ErrorContains(t, err, test.text, test.name)
	}
	require.NoError(t, w.Append(Point{Name: "e", Kind: KindList, Value: []any{}}))
	require.NoError(t, w.Append(Point{Name: "e", Kind: KindTable, Value: []Column{}}))
	require.NoError(t, w.Append(Point{Name: "e", Kind: KindTable, Value: []Column{{Name: "a"}}}))
	require.Len(t, readAll(t, l), 1)
	require.NoError(t, w.Append(Point{Name: "x", Kind: KindTable, Value: []Column{{"a", []any{1}}}}), "a refused point fixes no kind")
}

func TestValuesAreNormalised(t *testing.T) {
	t.Parallel()
	mixed, err := List([]any{1, 2.5, uint8(3), "x", nil, true, float32(0.5)})
	require.NoError(t, err)
	require.Equal(t, []any{1.0, 2.5, 3.0, "x", nil, true, 0.5}, mixed)
	ints, err := List([]any{1, int8(-2), uint(3)})
	require.NoError(t, err)
	require.Equal(t, []any{int64(1), int64(-2), int64(3)}, ints)
	table, err := Columns(map[string]any{"b": []float64{1}, "a": "x", "c": []int{7}, "d": []bool{true}})
	require.NoError(t, err)
	require.Equal(t, []Column{{"a", []any{"x"}}, {"b", []any{1.0}}, {"c", []any{int64(7)}}, {"d", []any{true}}}, table)
	_, err = Columns(map[string]any{"b": []string{"x", "y"}, "a": 1})
	require.ErrorIs(t, err, azml.ErrInvalid)
}

func TestIntsAndFloatsMix(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t, defaultLimits)
	w := newWriter(t, l)
	want := []any{1.5, int64(math.MaxInt64), int64(1<<53 + 1), math.Inf(-1), "s", nil, false, int64(math.MinInt64)}
	for _, v := range want {
		require.NoError(t, w.Append(Point{Name: "x", Kind: KindScalar, Value: v, Time: testTime}))
	}
	require.NoError(t, w.Close(t.Context()))
	for i, p := range readAll(t, l) {
		require.Equal(t, want[i], p.Value)
	}
}

func TestBigAndMany(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t, smallLimits)
	w := newWriter(t, l)
	big := strings.Repeat("é", 300_000)
	require.NoError(t, w.Append(Point{Name: "big", Kind: KindScalar, Value: big, Time: testTime}))
	require.NoError(t, w.Log(big, 1, 0, testTime))
	for i := range 3000 {
		require.NoError(t, w.Log(fmt.Sprintf("name %d", i), 1, 0, testTime))
	}
	require.NoError(t, w.Flush(t.Context()))
	points := readAll(t, l)
	require.Len(t, points, 3002)
	require.Equal(t, big, points[0].Value)
	require.Equal(t, big, points[1].Name)
	require.NoError(t, w.Close(t.Context()))
	same(t, points, readAll(t, l))
}

func TestClosed(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t, defaultLimits)
	w := newWriter(t, l)
	require.NoError(t, w.Log("x", 1, 0, time.Time{}))
	require.NoError(t, w.Close(t.Context()))
	require.ErrorIs(t, w.Log("x", 1, 0, testTime), azml.ErrClosed)
	require.ErrorIs(t, w.Append(Point{Name: "x", Kind: KindScalar}), azml.ErrClosed)
	require.ErrorIs(t, w.Flush(t.Context()), azml.ErrClosed)
	require.ErrorIs(t, w.Close(t.Context()), azml.ErrClosed)
	points := readAll(t, l)
	require.Len(t, points, 1)
	require.Equal(t, testTime, points[0].Time)
}

func TestReadersNeedNoSpool(t *testing.T) {
	t.Parallel()
	l := Open(memory.NewObjects(), testPrefix, nil)
	_, err := l.NewWriter()
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.Empty(t, readAll(t, l))
	done, err := l.Recover(t.Context())
	require.NoError(t, err)
	require.Zero(t, done)
}

func TestFlushIsSeenWithoutTheSpool(t *testing.T) {
	t.Parallel()
	l, objects := newLog(t, smallLimits)
	w := newWriter(t, l)
	elsewhere := Open(objects, testPrefix, nil)
	for i := range 100 {
		require.NoError(t, w.Log("x", float64(i), int64(i), testTime))
		if i%9 == 0 {
			require.NoError(t, w.Flush(t.Context()))
			require.Len(t, readAll(t, elsewhere), i+1)
		}
		require.Len(t, readAll(t, l), i+1)
	}
}

// blocked is a store whose appends wait for their context.
type blocked struct {
	*memory.Objects
	entered chan struct{}
}

func (b *blocked) Append(ctx context.Context, _ string, _ int64, _ []byte) (backend.Info, error) {
	b.entered <- struct{}{}
	<-ctx.Done()
	return backend.Info{}, errors.Join(azml.ErrUnavailable, ctx.Err())
}

func TestSlowStore(t *testing.T) {
	t.Parallel()
	store := &blocked{memory.NewObjects(), make(chan struct{}, 10)}
	dir := t.TempDir()
	l := openLog(t, store, dir, smallLimits)
	w := newWriter(t, l)
	require.NoError(t, w.Log("x", 0, 0, testTime))
	flushed := make(chan error, 1)
	go func() { flushed <- w.Flush(context.Background()) }()
	<-store.entered
	for i := range 1000 { // not held up
		require.NoError(t, w.Log("x", 0, int64(i), testTime))
	}
	<-w.Due()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, w.Flush(ctx), context.Canceled)
	require.ErrorIs(t, w.Close(ctx), context.Canceled) // and ends the Flush
	require.ErrorIs(t, <-flushed, context.Canceled)
	l = openLog(t, store.Objects, dir, smallLimits)
	done, err := l.Recover(t.Context())
	require.NoError(t, err)
	require.Equal(t, Recovered{Writers: 1, Points: 1001}, done)
	require.Len(t, readAll(t, l), 1001)
}

func TestRecoverLeavesTheLivingAlone(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t, smallLimits)
	w := newWriter(t, l)
	for i := range 100 {
		require.NoError(t, w.Log("x", 1, int64(i), testTime))
		done, err := l.Recover(t.Context())
		require.NoError(t, err)
		require.Zero(t, done)
	}
	require.Len(t, readAll(t, l), 100)
	writers, err := l.Writers(t.Context())
	require.NoError(t, err)
	require.Len(t, writers, 1)
	require.True(t, writers[0].Live)
}

func TestForeignSpoolFile(t *testing.T) {
	t.Parallel()
	l, objects := newLog(t, defaultLimits)
	w := newWriter(t, l)
	require.NoError(t, w.Log("x", 1, 0, testTime))
	require.NoError(t, w.stop())
	w.lock.release()
	other := Open(objects, "runs/other/", &Options{SpoolDir: string(l.spool)})
	_, err := other.Recover(t.Context())
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = collectPoints(other.Read(t.Context(), nil))
	require.ErrorIs(t, err, azml.ErrInvalid)
	done, err := l.Recover(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, done.Points)
}

func TestManyGoroutines(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t, smallLimits)
	w := newWriter(t, l)
	ctx, stop := context.WithCancel(t.Context())
	var keeper, loggers sync.WaitGroup
	l.flush = time.Millisecond
	keeper.Go(func() { w.Run(ctx) })
	for g := range 16 {
		loggers.Go(func() {
			for i := range 300 {
				if err := w.Log(fmt.Sprint(g), float64(i), int64(i), time.Time{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	loggers.Wait()
	stop()
	keeper.Wait()
	require.NoError(t, w.Close(t.Context()))
	steps := make(map[string]int64)
	for _, p := range readAll(t, l) {
		require.Equal(t, steps[p.Name], p.Step)
		steps[p.Name]++
	}
	require.Len(t, steps, 16)
	for _, n := range steps {
		require.EqualValues(t, 300, n)
	}
}

func TestLogDoesNotAllocate(t *testing.T) {
	l, _ := newLog(t, defaultLimits) // not parallel: it counts all allocations
	w := newWriter(t, l)
	require.NoError(t, w.Log("x", 1, 0, testTime))
	i := int64(0)
	require.Zero(t, testing.AllocsPerRun(500, func() {
		i++
		_ = w.Log("x", 1, i, time.Time{})
	}))
}
