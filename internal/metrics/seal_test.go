package metrics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
)

// logRandom logs n random points with some writers and closes these.
func logRandom(t *testing.T, l *Log, writers, n int) {
	t.Helper()
	r := newRand(t)
	var open []*Writer
	for range writers {
		open = append(open, newWriter(t, l))
	}
	for range n {
		require.NoError(t, open[r.IntN(len(open))].Append(randomPoint(r)))
	}
	for _, w := range open {
		require.NoError(t, w.Close(t.Context()))
	}
}

func mustSeal(t testing.TB, l *Log) Sealed {
	t.Helper()
	done, err := l.Seal(t.Context())
	require.NoError(t, err)
	return done
}

// keys lists what the store has of the log.
func keys(t testing.TB, l *Log) (segments, sealed int) {
	t.Helper()
	for info, err := range l.objects.List(t.Context(), &backend.ListOptions{Prefix: l.prefix}) {
		require.NoError(t, err)
		if strings.HasSuffix(info.Key, segmentSuffix) {
			segments++
		} else {
			sealed++
		}
	}
	return segments, sealed
}

// sound checks that Verify finds nothing.
func sound(t testing.TB, l *Log) {
	t.Helper()
	damage, err := l.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, damage)
	left, err := l.Leftovers(t.Context())
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestSealedReadsTheSame compares everything that can be read before and after.
func TestSealedReadsTheSame(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ writers, points int }{
		"one point":             {1, 1},
		"one writer":            {1, 3000},
		"writers of all times":  {5, 3000},
		"more than a row group": {2, 700},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, _ := newLog(t, smallLimits)
			logRandom(t, l, tt.writers, tt.points)
			points := readAll(t, l)
			sums, err := l.Summary(t.Context())
			require.NoError(t, err)
			done := mustSeal(t, l)
			require.EqualValues(t, tt.points, done.Points)
			segments, objects := keys(t, l)
			require.Zero(t, segments)
			require.Equal(t, 3, objects)
			sound(t, l)
			same(t, points, readAll(t, l))
			sameSummaries(t, sums, l)
			checkNames(t, l, points)
			require.Equal(t, Sealed{}, mustSeal(t, l), "nothing new")
		})
	}
}

func sameSummaries(t testing.TB, want map[string]Summary, l *Log) {
	t.Helper()
	got, err := l.Summary(t.Context())
	require.NoError(t, err)
	require.Len(t, got, len(want))
	for name, w := range want {
		g := got[name]
		require.Equal(t, show(w.First), show(g.First))
		require.Equal(t, show(w.Last), show(g.Last))
		require.Equal(t, w.Last.Seq, g.Last.Seq)
		require.Equal(t, []int64{w.Count, w.Numbers, w.NaNs}, []int64{g.Count, g.Numbers, g.NaNs}, name)
		require.Equal(t, math.Float64bits(w.Min), math.Float64bits(g.Min))
		require.Equal(t, math.Float64bits(w.Max), math.Float64bits(g.Max))
		if !math.IsNaN(w.Sum) && !math.IsInf(w.Sum, 0) {
			require.InEpsilon(t, 1+math.Abs(w.Sum), 1+math.Abs(g.Sum), 1e-9)
		}
	}
}

// checkNames reads each metric alone, in the order it has among all.
func checkNames(t testing.TB, l *Log, points []Point) {
	t.Helper()
	byName := map[string][]Point{}
	for _, p := range points {
		byName[p.Name] = append(byName[p.Name], p)
	}
	for name, want := range byName {
		got, err := collectPoints(l.Read(t.Context(), &ReadOptions{Names: []string{name}}))
		require.NoError(t, err)
		same(t, want, got)
	}
}

// TestSealedAgain goes on logging after a sealing, with new writers and with
// one that lived through it.
func TestSealedAgain(t *testing.T) {
	t.Parallel()
	store := memory.NewObjects()
	dirs := []string{t.TempDir(), t.TempDir()} // of two machines
	here, there := openLog(t, store, dirs[0], smallLimits), openLog(t, store, dirs[1], smallLimits)
	far := newWriter(t, there)
	r := newRand(t)
	want := map[string][]Point{}
	log := func(w *Writer, n int) {
		for range n {
			p := randomPoint(r)
			require.NoError(t, w.Append(p))
			want[w.ID()] = append(want[w.ID()], p)
		}
	}
	for round := range 6 {
		w := newWriter(t, here)
		log(w, 200)
		log(far, 100)
		require.NoError(t, far.Flush(t.Context()))
		require.NoError(t, w.Close(t.Context()))
		before := readAll(t, here)
		sums, err := here.Summary(t.Context())
		require.NoError(t, err)
		if round%2 == 0 {
			done := mustSeal(t, here)
			require.EqualValues(t, len(before), done.Points)
		}
		same(t, before, readAll(t, here))
		sameSummaries(t, sums, here)
		checkNames(t, here, before)
		compare(t, want, here)
		sound(t, here)
	}
	require.NoError(t, far.Close(t.Context()))
	mustSeal(t, there)
	compare(t, want, here)
	sound(t, here)
}

// TestSealWhileLogged has sealers, readers and writers at once: no reader
// misses or doubles a point.
func TestSealWhileLogged(t *testing.T) {
	t.Parallel()
	store := memory.NewObjects()
	ctx, stop := context.WithCancel(t.Context())
	var work, others sync.WaitGroup
	const writers, points = 3, 300
	for i := range writers {
		l := openLog(t, store, t.TempDir(), smallLimits) // each on a machine of its own
		work.Go(func() {
			w, err := l.NewWriter()
			if err != nil {
				t.Error(err)
				return
			}
			for n := range points {
				if err := w.Log("x", float64(n), int64(i), time.Time{}); err != nil {
					t.Error(err)
				}
				if n%50 == 0 {
					if err := w.Flush(context.Background()); err != nil {
						t.Error(err)
					}
				}
			}
			if err := w.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	l := openLog(t, store, t.TempDir(), smallLimits)
	for range 2 {
		others.Go(func() {
			for ctx.Err() == nil {
				if _, err := l.Seal(context.Background()); err != nil && !isConflict(err) {
					t.Error(err)
				}
			}
		})
		others.Go(func() {
			last := 0
			for ctx.Err() == nil {
				got, err := collectPoints(l.Read(context.Background(), nil))
				if err != nil {
					t.Error(err)
					return
				}
				seqs := map[string]uint64{}
				for _, p := range got {
					if seqs[p.Writer]++; p.Seq != seqs[p.Writer] {
						t.Errorf("point %d of writer %s where %d belongs", p.Seq, p.Writer, seqs[p.Writer])
						return
					}
				}
				if len(got) < last {
					t.Errorf("%d points after %d", len(got), last)
				}
				last = len(got)
			}
		})
	}
	follower := make(chan []Point)
	ended := make(chan struct{})
	go func() {
		got, err := collectPoints(l.Read(context.Background(), &ReadOptions{Follow: true, Poll: time.Millisecond, Done: func() (bool, error) {
			select {
			case <-ended:
				return true, nil
			default:
				return false, nil
			}
		}}))
		if err != nil {
			t.Error(err)
		}
		follower <- got
	}()
	work.Wait()
	close(ended)
	followed := <-follower
	stop()
	others.Wait()
	require.Len(t, byWriter(t, followed), writers)
	require.Len(t, followed, writers*points)
	if _, err := l.Seal(t.Context()); err != nil {
		require.True(t, isConflict(err))
	}
	require.Len(t, readAll(t, l), writers*points)
	sound(t, l)
}

func isConflict(err error) bool {
	return errors.Is(err, azml.ErrConflict) || errors.Is(err, azml.ErrExists)
}

// TestExportOfSealed exports the same before and after.
func TestExportOfSealed(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t, smallLimits)
	logRandom(t, l, 2, 500)
	for _, format := range Formats() {
		var before, after bytes.Buffer
		require.NoError(t, l.Export(t.Context(), &before, format, nil))
		mustSeal(t, l)
		require.NoError(t, l.Export(t.Context(), &after, format, nil))
		require.True(t, bytes.Equal(before.Bytes(), after.Bytes()), format)
	}
}

// TestManyNames logs to 10,000 metrics, more than fit into a row group one by
// one, and reads and sums them up.
func TestManyNames(t *testing.T) {
	t.Parallel()
	limits := defaultLimits
	limits.groupRows = 60_000
	l, _ := newLog(t, limits)
	w := newWriter(t, l)
	const names, steps = 10_000, 20
	for step := range steps {
		for i := range names {
			require.NoError(t, w.Log(names10k[i], float64(i*step), int64(step), testTime.Add(time.Duration(step*names+i))))
		}
	}
	require.NoError(t, w.Close(t.Context()))
	require.EqualValues(t, names*steps, mustSeal(t, l).Points)
	sums, err := l.Summary(t.Context())
	require.NoError(t, err)
	require.Len(t, sums, names)
	for i, name := range names10k {
		require.Equal(t, [3]float64{steps, 0, float64(i * (steps - 1))}, [3]float64{float64(sums[name].Count), sums[name].Min, sums[name].Max})
	}
	one, err := collectPoints(l.Read(t.Context(), &ReadOptions{Names: []string{names10k[4321], names10k[9]}}))
	require.NoError(t, err)
	require.Len(t, one, 2*steps)
	buckets, err := l.Chart(t.Context(), names10k[77], nil)
	require.NoError(t, err)
	require.Len(t, buckets, steps)
	sound(t, l)
}

var names10k = func() []string {
	var names []string
	for i := range 10_000 {
		names = append(names, fmt.Sprintf("layer.%d.weight.gradient.norm", i))
	}
	return names
}()

// TestSealLeavesNoFile looks for the temporary file while a sealing goes on, and
// after it.
func TestSealLeavesNoFile(t *testing.T) {
	t.Parallel()
	objects := memory.NewObjects()
	logPoints(t, openLog(t, objects, t.TempDir(), smallLimits), 20)
	temp := filepath.Join(t.TempDir(), "temp")
	looks := 0
	l := openLog(t, &interrupted{Objects: objects, before: func(int) {
		files, err := os.ReadDir(temp)
		if errors.Is(err, fs.ErrNotExist) {
			return // not begun yet
		}
		require.NoError(t, err)
		if looks++; runtime.GOOS != "windows" {
			require.Empty(t, files, "it would stay when the process is killed now")
		}
	}}, t.TempDir(), smallLimits)
	l.temp = temp
	_, err := l.Seal(t.Context())
	require.NoError(t, err)
	require.NotZero(t, looks)
	files, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, files)
}
