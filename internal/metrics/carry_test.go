package metrics

import (
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/memory"
)

func mustCarry(t testing.TB, to, from *Log) Carried {
	t.Helper()
	done, err := NewCarrier(to, from).Carry(t.Context())
	require.NoError(t, err)
	return done
}

// counted gives how many points of each writer a log has, and checks that they
// are whole, each once.
func counted(t testing.TB, l *Log) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for writer, points := range byWriter(t, readAll(t, l)) {
		counts[writer] = len(points)
	}
	return counts
}

// sameValues compares logs by their points, in the order of reading.
func sameValues(t testing.TB, want, got *Log) {
	t.Helper()
	same(t, readAll(t, want), readAll(t, got))
	a, err := want.Summary(t.Context())
	require.NoError(t, err)
	sameSummaries(t, a, got)
}

// TestCarryAgainstAModel logs, seals and carries between three stores at random,
// over stores that fail: nothing is ever doubled, goes missing or goes back, and
// in the end all have everything.
func TestCarryAgainstAModel(t *testing.T) {
	t.Parallel()
	for range 3 {
		r := newRand(t)
		var logs, stored, bad []*Log // stored sees what is in the store alone
		for range 3 {
			store := memory.NewObjects()
			dir := t.TempDir()
			logs = append(logs, openLog(t, store, dir, smallLimits))
			stored = append(stored, openLog(t, store, "", smallLimits))
			bad = append(bad, openLog(t, faulty.New(store, faulty.Plan{Seed: r.Uint64(), Errors: 0.02, Lost: 0.03, Torn: 0.02}), dir, smallLimits))
		}
		writers := map[int][]*Writer{}
		carriers := map[[2]int]*Carrier{}
		logged, failed := 0, 0
		seen := make([]map[string]int, len(logs))
		for range 150 {
			i, j := r.IntN(3), r.IntN(3)
			switch op := r.IntN(10); {
			case op < 3:
				if len(writers[i]) == 0 || r.IntN(8) == 0 {
					writers[i] = append(writers[i], newWriter(t, logs[i]))
				}
				for range 1 + r.IntN(20) {
					require.NoError(t, writers[i][r.IntN(len(writers[i]))].Append(randomPoint(r)))
					logged++
				}
			case op == 3 && len(writers[i]) > 0 && r.IntN(2) == 0:
				require.NoError(t, writers[i][0].Flush(t.Context()))
			case op == 3 && len(writers[i]) > 0:
				for _, w := range writers[i] {
					require.NoError(t, w.Close(t.Context()))
				}
				writers[i] = nil
			case op == 4:
				if _, err := bad[i].Seal(t.Context()); err != nil {
					require.ErrorIs(t, err, azml.ErrUnavailable)
				}
			case op > 4 && i != j:
				c := carriers[[2]int{i, j}]
				if c == nil || r.IntN(4) == 0 {
					c = NewCarrier(bad[i], bad[j])
					carriers[[2]int{i, j}] = c
				}
				want := counted(t, stored[j])
				if _, err := c.Carry(t.Context()); err != nil {
					require.ErrorIs(t, err, azml.ErrUnavailable)
					failed++
					break
				}
				got := counted(t, stored[i])
				for writer, n := range want {
					require.GreaterOrEqual(t, got[writer], n, "writer %s", writer)
				}
			}
			now := counted(t, logs[i])
			for writer, n := range seen[i] {
				require.GreaterOrEqual(t, now[writer], n, "points of writer %s are gone", writer)
			}
			seen[i] = now
		}
		require.Positive(t, failed)
		for _, open := range writers {
			for _, w := range open {
				require.NoError(t, w.Close(t.Context()))
			}
		}
		for range 2 {
			for i := range logs {
				mustCarry(t, logs[i], logs[(i+1)%3])
			}
		}
		require.Len(t, readAll(t, logs[0]), logged)
		for i := range logs {
			sameValues(t, logs[0], logs[i])
			mustSeal(t, logs[i])
			damage, err := logs[i].Verify(t.Context(), nil)
			require.NoError(t, err)
			require.Empty(t, damage)
			for j := range logs {
				require.Zero(t, mustCarry(t, logs[i], logs[j]), "there is nothing left")
			}
		}
	}
}

// TestCarryForms carries between logs that are sealed on one side or the other.
func TestCarryForms(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare  func(t *testing.T, to, from *Log)
		segments bool // that there are some in the end
	}{
		"from segments":    {func(*testing.T, *Log, *Log) {}, true},
		"from sealed ones": {func(t *testing.T, _, from *Log) { mustSeal(t, from) }, false},
		"sealed since":     {func(t *testing.T, to, from *Log) { mustCarry(t, to, from); mustSeal(t, from) }, true},
		"grown and sealed since": {func(t *testing.T, to, from *Log) {
			mustCarry(t, to, from)
			logRandom(t, from, 1, 20)
			mustSeal(t, from)
		}, false},
		"sealed here, grown there": {func(t *testing.T, to, from *Log) {
			mustCarry(t, to, from)
			mustSeal(t, to)
			logRandom(t, from, 1, 20)
		}, true},
		"sealed on both, and grown there": {func(t *testing.T, to, from *Log) {
			mustCarry(t, to, from)
			mustSeal(t, to)
			logRandom(t, from, 1, 20)
			mustSeal(t, from)
		}, false},
		"logged to on both": {func(t *testing.T, to, from *Log) {
			mustSeal(t, from)
			logRandom(t, to, 1, 20)
		}, true},
		"sealed here alone": {func(t *testing.T, to, from *Log) { mustCarry(t, to, from); mustSeal(t, to) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to, _ := newLog(t, smallLimits)
			from, _ := newLog(t, smallLimits)
			logRandom(t, from, 3, 100)
			test.prepare(t, to, from)
			mustCarry(t, to, from)
			want, got := counted(t, from), counted(t, to)
			for writer, n := range want {
				require.Equal(t, n, got[writer])
			}
			segments, _ := keys(t, to)
			require.Equal(t, test.segments, segments > 0)
			sound(t, to)
			require.Zero(t, mustCarry(t, to, from))
		})
	}
}

// TestCarryCutOff stops after each write in turn.
func TestCarryCutOff(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, to, from *Log){
		"segments":         func(*testing.T, *Log, *Log) {},
		"sealed":           func(t *testing.T, _, from *Log) { mustSeal(t, from) },
		"sealed over more": func(t *testing.T, to, from *Log) { mustCarry(t, to, from); logRandom(t, from, 1, 9); mustSeal(t, from) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for writes := 1; ; writes++ {
				from, _ := newLog(t, smallLimits)
				logRandom(t, from, 2, 60)
				store := memory.NewObjects()
				to := openLog(t, store, t.TempDir(), smallLimits)
				prepare(t, to, from)
				dying := openLog(t, faulty.New(store, faulty.Plan{StopAfterWrites: writes}), "", smallLimits)
				_, err := NewCarrier(dying, from).Carry(t.Context())
				counted(t, to)
				mustCarry(t, to, from)
				sameValues(t, from, to)
				damage, verifyErr := to.Verify(t.Context(), nil)
				require.NoError(t, verifyErr)
				require.Empty(t, damage)
				if err == nil {
					require.Greater(t, writes, 2)
					return
				}
				require.ErrorIs(t, err, azml.ErrClosed)
			}
		})
	}
}

// TestCarryAtOnce has several carry into one log while it is logged to on the
// other side and sealed on this one.
func TestCarryAtOnce(t *testing.T) {
	t.Parallel()
	to, _ := newLog(t, smallLimits)
	from, _ := newLog(t, smallLimits)
	var working sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		c := NewCarrier(to, from)
		working.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := c.Carry(t.Context()); err != nil && !errors.Is(err, azml.ErrConflict) {
					t.Errorf("carry: %v", err)
					return
				}
			}
		})
	}
	for range 12 {
		logRandom(t, from, 2, 30)
		if _, err := to.Seal(t.Context()); err != nil {
			require.ErrorIs(t, err, azml.ErrConflict)
		}
	}
	close(done)
	working.Wait()
	mustCarry(t, to, from)
	sameValues(t, from, to)
}

// TestCarrySpreadsNoDamage flips a bit of each object in turn.
func TestCarrySpreadsNoDamage(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	for _, seal := range []bool{false, true} {
		from, store := newLog(t, smallLimits)
		logRandom(t, from, 2, 60)
		if seal {
			mustSeal(t, from)
		}
		want := counted(t, from)
		for info, err := range store.List(t.Context(), &backend.ListOptions{Prefix: from.prefix}) {
			require.NoError(t, err)
			object, err := store.Get(t.Context(), info.Key, &backend.GetOptions{})
			require.NoError(t, err)
			data, err := io.ReadAll(object.Body)
			require.NoError(t, err)
			bit := r.IntN(len(data) * 8)
			data[bit/8] ^= 1 << (bit % 8)
			put(t, store, info.Key, string(data))
			to, _ := newLog(t, smallLimits)
			_, err = NewCarrier(to, from).Carry(t.Context())
			if strings.HasSuffix(info.Key, digestSuffix) {
				require.NoError(t, err, "the points are sound")
				require.Equal(t, want, counted(t, to))
			} else {
				require.ErrorIs(t, err, azml.ErrDamaged, "bit %d of %s", bit, info.Key)
			}
			sound(t, to)
			data[bit/8] ^= 1 << (bit % 8)
			put(t, store, info.Key, string(data))
		}
	}
}

func put(t testing.TB, store backend.Objects, key, data string) {
	t.Helper()
	_, err := store.Put(t.Context(), key, strings.NewReader(data), &backend.PutOptions{})
	require.NoError(t, err)
}
