package files

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/azml-go/azml/backend"
	"github.com/stretchr/testify/require"
)

// many fills a store with n packs and as many indexes, one of them each minute.
func many(t *testing.T, s *Store, c *clock, n int) {
	t.Helper()
	for i := range n {
		save(t, s, map[string][]byte{"f": fmt.Appendf(nil, "content %d", i)})
		c.advance(time.Minute)
	}
}

// What a batch costs must not depend on how much is stored.
func TestBatchCostIsConstant(t *testing.T) {
	t.Parallel()
	type cost struct{ requests, listed int64 }
	for name, size := range map[string]int{"small": 1000, "big": 3 << 20} {
		for _, warm := range []bool{true, false} {
			if !warm && size > firstPrice {
				continue // it reads what is there, once
			}
			t.Run(fmt.Sprintf("%s warm=%v", name, warm), func(t *testing.T) {
				t.Parallel()
				var costs []cost
				for _, n := range []int{30, 1000} {
					c := &clock{}
					objects := newSpy()
					s := New(objects, &Options{Now: c.now})
					many(t, s, c, n)
					require.NoError(t, s.refresh(t.Context())) // once in a process
					if !warm {
						s = New(objects, &Options{Now: c.now})
					}
					requests, listed := objects.requests(), objects.listed.Load()
					_, stats, _ := save(t, s, map[string][]byte{"new": noise(uint64(n), size)})
					require.NotZero(t, stats.NewBytes)
					costs = append(costs, cost{objects.requests() - requests, objects.listed.Load() - listed})
				}
				require.Equal(t, costs[0], costs[1])
				require.LessOrEqual(t, costs[0].requests, int64(5), "condemned list, indexes, pack, index, manifest")
			})
		}
	}
}

// Uploads in a hurry must not list each other again and again.
func TestManyBatchesAtOnce(t *testing.T) {
	t.Parallel()
	objects := newSpy()
	s := New(objects, nil)
	const n = 1500
	for i := range n {
		save(t, s, map[string][]byte{"f": noise(uint64(i), 100)})
	}
	first := objects.listed.Load()
	for i := range n {
		save(t, s, map[string][]byte{"f": noise(uint64(n+i), 100)})
	}
	require.LessOrEqual(t, objects.listed.Load()-first, int64(n), "names listed")
	require.LessOrEqual(t, objects.requests(), int64(2*n*6))
}

// A listing that is dear is made for much content only, and then nothing of it
// is stored twice.
func TestPriceOfLearning(t *testing.T) {
	t.Parallel()
	objects := newSpy()
	a, b := New(objects, nil), New(objects, nil)
	contents := map[string][]byte{}
	for i := range 20 {
		contents[fmt.Sprint(i)] = noise(uint64(i), 50_000)
	}
	save(t, a, contents)
	_, stats, _ := save(t, b, contents)
	require.Zero(t, stats.NewChunks, "the first chunks seemed new and were taken back")
	require.Zero(t, stats.NewBytes)
	require.Zero(t, stats.Objects)
	_, stats, _ = save(t, New(objects, nil), map[string][]byte{"0": contents["0"]})
	require.Equal(t, 1, stats.NewChunks, "cheaper than to read all indexes")
}

func TestWritersLearnFromEachOther(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{-10 * time.Minute, 0, 10 * time.Minute} {
		c := &clock{}
		objects := newSpy()
		a := New(objects, &Options{Now: c.now})
		b := New(objects, &Options{Now: func() time.Time { return c.now().Add(skew) }})
		for i := range 5 {
			for j, s := range []*Store{a, b} {
				contents := map[string][]byte{"f": noise(uint64(10*i+j), firstPrice+1)}
				save(t, s, contents)
				other := []*Store{b, a}[j]
				_, stats, _ := save(t, other, contents)
				require.Zero(t, stats.NewChunks, "skew %v, round %d", skew, i)
			}
			c.advance(40 * time.Minute)
		}
	}
}

// A process that slept while what it knows was deleted must not count on it.
func TestStaleMemory(t *testing.T) {
	t.Parallel()
	for name, exclusive := range map[string]bool{"exclusive": true, "with grace": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &clock{}
			objects := c.objects()
			sleeper, collector := New(objects, &Options{Now: c.now}), New(objects, &Options{Now: c.now})
			contents := map[string][]byte{"a": noise(1, 1000), "b": noise(2, 3<<20)}
			m, stored, _ := save(t, sleeper, contents)
			for range 3 {
				c.advance(day + time.Hour)
				_, err := collector.Collect(t.Context(), roots(), &CollectOptions{Exclusive: exclusive})
				require.NoError(t, err)
			}
			require.Empty(t, keys(t, objects, packsPrefix))

			b, err := sleeper.NewBatch(t.Context(), nil)
			require.NoError(t, err)
			require.NoError(t, b.AddStored(m.Files[0]))
			_, _, err = b.Commit(t.Context())
			require.Error(t, err)
			_, stats, id := save(t, sleeper, contents)
			require.Equal(t, stored.NewChunks, stats.NewChunks)
			checkWhole(t, New(objects, nil), id, contents)
		})
	}
}

// A collector that stands still for long may write an index of packs that are
// gone by then.
func TestIndexOfAPackThatIsGone(t *testing.T) {
	t.Parallel()
	objects := newSpy()
	s, other := New(objects, nil), New(objects, nil)
	save(t, s, map[string][]byte{"f": noise(1, firstPrice+1)}) // s knows all there is
	contents := map[string][]byte{"g": noise(2, 1000)}
	save(t, other, contents)
	for _, key := range keys(t, objects, packsPrefix) {
		if _, err := s.objects.Stat(t.Context(), key); err == nil && key != packOf(t, s) {
			require.NoError(t, objects.Delete(t.Context(), key, &backend.DeleteOptions{}))
		}
	}
	_, stats, id := save(t, s, contents)
	require.Equal(t, 1, stats.NewChunks)
	checkWhole(t, s, id, contents)
}

// packOf gives the key of the only pack that s knows.
func packOf(t *testing.T, s *Store) string {
	t.Helper()
	known := s.index.known()
	require.Len(t, known, 1)
	return known[0].id.key()
}

// A reader that knows what was stored long ago learns what is new without
// listing everything.
func TestReadersLearnWhatIsNew(t *testing.T) {
	t.Parallel()
	c := &clock{}
	objects := newSpy()
	writer := New(objects, &Options{Now: c.now})
	many(t, writer, c, 300)
	reader := New(objects, &Options{Now: c.now})
	require.NoError(t, reader.refresh(t.Context()))
	m, _, _ := save(t, writer, map[string][]byte{"f": noise(1, 1000)})
	objects.listed.Store(0)
	r, err := reader.Open(t.Context(), m.Files[0])
	require.NoError(t, err)
	_, err = io.ReadAll(r)
	require.NoError(t, err)
	require.LessOrEqual(t, objects.listed.Load(), int64(20))
}

func TestGeneration(t *testing.T) {
	t.Parallel()
	entries := func(names ...string) map[string]condemnation {
		all := map[string]condemnation{}
		for _, name := range names {
			all[name] = condemnation{ETag: "1"}
		}
		return all
	}
	l := &condemned{Objects: entries("a", "b")}
	l.replace(entries("a", "b", "c"))
	require.Empty(t, l.Generation, "nothing was taken off")
	l.replace(entries("b", "c", "d"))
	first := l.Generation
	require.Len(t, first, 32)
	l.replace(entries())
	require.NotEqual(t, first, l.Generation)
}
