package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/stretchr/testify/require"
)

const day = 24 * time.Hour

// keys lists the store.
func keys(t testing.TB, objects backend.Objects, prefix string) []string {
	t.Helper()
	var all []string
	for info, err := range objects.List(t.Context(), &backend.ListOptions{Prefix: prefix}) {
		require.NoError(t, err)
		all = append(all, info.Key)
	}
	return all
}

func sound(t testing.TB, s *Store, ids ...string) *VerifyReport {
	t.Helper()
	report, err := s.Verify(t.Context(), roots(ids...), &VerifyOptions{Deep: true})
	require.NoError(t, err)
	require.Empty(t, report.Damages)
	return report
}

func TestCollectWaitsTwice(t *testing.T) {
	t.Parallel()
	c := &clock{}
	objects := c.objects()
	s := New(objects, &Options{Now: c.now})
	_, _, gone := save(t, s, map[string][]byte{"a": noise(1, 1000)})
	_, _, kept := save(t, s, map[string][]byte{"b": noise(2, 1000)})
	steps := []struct {
		name               string
		after              time.Duration
		condemned, deleted int
	}{
		{"young", 0, 0, 0},
		{"old", day, 2, 0},
		{"condemned just now", day / 2, 2, 0},
		{"due", day, 0, 2},
		{"done", day, 0, 0},
	}
	for _, step := range steps {
		c.advance(step.after)
		dry, err := s.Collect(t.Context(), roots(kept), &CollectOptions{DryRun: true})
		require.NoError(t, err)
		r, err := s.Collect(t.Context(), roots(kept), nil)
		require.NoError(t, err)
		require.Equal(t, dry, r, step.name)
		require.Equal(t, step.condemned, r.Condemned, step.name)
		require.Equal(t, step.deleted, r.Deleted, step.name)
		require.Equal(t, 1, r.Live)
	}
	_, err := s.Manifest(t.Context(), gone)
	requireClass(t, err, azml.ErrNotFound)
	require.Empty(t, sound(t, New(objects, nil), kept).Unreferenced)
}

func TestCollectRescues(t *testing.T) {
	t.Parallel()
	contents := map[string][]byte{"a": noise(1, 1000), "b": noise(2, 3<<20)}
	for name, again := range map[string]func(t *testing.T, s *Store, m *Manifest) string{
		"the same manifest is put again": func(t *testing.T, s *Store, m *Manifest) string {
			id, err := s.PutManifest(t.Context(), m)
			require.NoError(t, err)
			b, err := s.NewBatch(t.Context(), nil)
			require.NoError(t, err)
			for _, f := range m.Files {
				require.NoError(t, b.AddStored(f))
			}
			_, stats, err := b.Commit(t.Context())
			require.NoError(t, err)
			require.NotZero(t, stats.NewChunks, "what is condemned is copied")
			return id
		},
		"the same files are added again": func(t *testing.T, s *Store, _ *Manifest) string {
			_, stats, id := save(t, s, contents)
			require.Equal(t, 4, stats.NewChunks, "what is condemned counts as absent")
			return id
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &clock{}
			objects := c.objects()
			s := New(objects, &Options{Now: c.now})
			m, _, _ := save(t, s, contents)
			c.advance(day)
			r, err := s.Collect(t.Context(), roots(), nil)
			require.NoError(t, err)
			require.Equal(t, 2, r.Condemned)
			id := again(t, New(objects, &Options{Now: c.now}), m)
			c.advance(2 * day)
			_, err = s.Collect(t.Context(), roots(), nil) // its record is not written yet
			require.NoError(t, err)
			r, err = s.Collect(t.Context(), roots(id), nil)
			require.NoError(t, err)
			require.Zero(t, r.Missing)
			checkWhole(t, New(objects, nil), id, contents)
		})
	}
}

func TestLongBatchRescuesWhatItReused(t *testing.T) {
	t.Parallel()
	c := &clock{}
	objects := c.objects()
	s := New(objects, &Options{Now: c.now})
	contents := map[string][]byte{"a": noise(1, 1000), "b": noise(2, 3<<20)}
	save(t, s, contents)
	c.advance(day)
	b, err := s.NewBatch(t.Context(), nil)
	require.NoError(t, err)
	for path, data := range contents {
		require.NoError(t, b.Add(t.Context(), path, 0o644, bytes.NewReader(data)))
	}
	other := New(objects, &Options{Now: c.now})
	_, err = other.Collect(t.Context(), roots(), nil)
	require.NoError(t, err)
	c.advance(day * 6 / 10)
	m, stats, err := b.Commit(t.Context())
	require.NoError(t, err)
	require.NotZero(t, stats.NewChunks)
	id, err := s.PutManifest(t.Context(), m)
	require.NoError(t, err)
	c.advance(day * 45 / 100)
	_, err = other.Collect(t.Context(), roots(id), nil)
	require.NoError(t, err)
	checkWhole(t, New(objects, nil), id, contents)

	b, err = s.NewBatch(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, b.Add(t.Context(), "a", 0o644, bytes.NewReader(contents["a"])))
	c.advance(day)
	_, err = other.Collect(t.Context(), roots(), &CollectOptions{Exclusive: true})
	require.NoError(t, err)
	_, _, err = b.Commit(t.Context())
	requireClass(t, err, azml.ErrConflict)
}

func TestCollectRewritesBesideReaders(t *testing.T) {
	t.Parallel()
	objects := memory.NewObjects()
	s := New(objects, nil)
	contents := map[string][]byte{}
	for i := range 12 {
		contents[fmt.Sprint(i)] = noise(uint64(i), 100<<10)
	}
	m, _, _ := save(t, s, contents)
	kept := &Manifest{Files: m.Files[:3]}
	id, err := s.PutManifest(t.Context(), kept)
	require.NoError(t, err)
	reader := New(objects, nil)
	open, err := reader.Open(t.Context(), kept.Files[0])
	require.NoError(t, err)

	r, err := s.Collect(t.Context(), roots(id), &CollectOptions{Exclusive: true})
	require.NoError(t, err)
	require.Equal(t, 1, r.Rewritten)
	require.Equal(t, 2, r.Deleted, "a pack and a manifest")
	require.Len(t, keys(t, objects, packsPrefix), 1)
	require.Len(t, keys(t, objects, indexesPrefix), 1)

	data := make([]byte, open.Size())
	_, err = open.ReadAt(data, 0)
	require.NoError(t, err, "a reader with an old index reads it again")
	require.True(t, bytes.Equal(contents[kept.Files[0].Path], data))
	require.Empty(t, sound(t, New(objects, nil), id).Unreferenced)
	r, err = s.Collect(t.Context(), roots(id), &CollectOptions{Exclusive: true})
	require.NoError(t, err)
	require.Zero(t, r.Rewritten+r.Deleted, "nothing is left to do")
}

func TestCollectMergesSmallPacksAndIndexes(t *testing.T) {
	t.Parallel()
	objects := memory.NewObjects()
	s := New(objects, nil)
	var ids []string
	for i := range manyIndexes + 4 {
		_, _, id := save(t, s, map[string][]byte{"f": noise(uint64(i), 1000)})
		ids = append(ids, id)
	}
	_, err := s.Collect(t.Context(), roots(ids...), &CollectOptions{Exclusive: true})
	require.NoError(t, err)
	require.LessOrEqual(t, len(keys(t, objects, packsPrefix)), 2)
	require.Len(t, keys(t, objects, indexesPrefix), 1)
	sound(t, New(objects, nil), ids...)
}

func TestCollectRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	objects := memory.NewObjects()
	s := New(objects, nil)
	_, _, id := save(t, s, map[string][]byte{"f": noise(1, 1000)})
	before := keys(t, objects, "")
	_, err := s.Collect(t.Context(), func(yield func(string, error) bool) { yield("", errDead) }, &CollectOptions{Exclusive: true})
	require.ErrorIs(t, err, errDead)
	_, err = s.Collect(t.Context(), roots(digestOf([]byte("x")).String()), &CollectOptions{Exclusive: true})
	requireClass(t, err, azml.ErrNotFound)
	require.Equal(t, before, keys(t, objects, ""))
	sound(t, s, id)
}

func TestTwoCollectorsAtOnce(t *testing.T) {
	t.Parallel()
	objects := newSpy()
	s := New(objects, nil)
	_, _, id := save(t, s, map[string][]byte{"f": noise(1, 1000)})
	save(t, s, map[string][]byte{"g": noise(2, 1000)})
	var once sync.Once
	objects.beforePut = func(key string) {
		once.Do(func() {
			_, err := New(objects.Objects, nil).Collect(context.Background(), roots(id), &CollectOptions{Exclusive: true})
			if err != nil {
				t.Error(err)
			}
		})
	}
	_, err := s.Collect(t.Context(), roots(id), &CollectOptions{Exclusive: true})
	requireClass(t, err, azml.ErrConflict)
	sound(t, New(objects.Objects, nil), id)
}

// world is what the random test believes.
type world struct {
	clock clock

	mu      sync.Mutex
	records map[string]map[string][]byte // manifests that records refer to
	writers map[*Store]time.Time         // when a writer that is at work began
}

// pass lets time go by, unless a writer would then have taken longer than the
// grace period, which the rules forbid.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, began := range w.writers {
		if w.clock.now().Add(d).Sub(began) > day*95/100 {
			return
		}
	}
	w.clock.advance(d)
}

// TestCollectBesideWriters lets writers and collectors of several "processes"
// run at once, each with a clock and a memory of its own, with time jumping on
// and collections that a writer does not hear of. Nothing a record refers to may ever be
// damaged or missing.
func TestCollectBesideWriters(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rounds := 3
	if testing.Short() {
		rounds = 1
	}
	for round := range rounds {
		w := &world{records: map[string]map[string][]byte{}, writers: map[*Store]time.Time{}}
		c := &w.clock
		objects := c.objects()
		var wg sync.WaitGroup
		for worker := range 4 {
			rng := rand.New(rand.NewPCG(seed, uint64(round*100+worker)))
			skew := time.Duration(worker-2) * 7 * time.Minute
			s := New(objects, &Options{Now: func() time.Time { return c.now().Add(skew) }, Parallel: 2})
			wg.Go(func() {
				for range 30 {
					if err := w.step(t.Context(), s, rng); err != nil {
						t.Errorf("seed %d: %v", seed, err)
						return
					}
				}
			})
		}
		wg.Wait()
		ids := slices.Collect(maps.Keys(w.records))
		s := New(objects, &Options{Now: c.now})
		sound(t, s, ids...)
		for range 3 {
			c.advance(day + time.Hour)
			_, err := s.Collect(t.Context(), roots(ids...), nil)
			require.NoError(t, err)
		}
		require.Empty(t, sound(t, New(objects, nil), ids...).Unreferenced, "seed %d", seed)
		for id, contents := range w.records {
			checkWhole(t, s, id, contents)
		}
	}
}

// step does one thing at random.
func (w *world) step(ctx context.Context, s *Store, rng *rand.Rand) error {
	switch rng.IntN(6) {
	case 0:
		w.pass(day / 2)
	case 1:
		return w.forget(ctx, s, rng)
	case 2, 3:
		_, err := s.Collect(ctx, w.roots(), nil)
		if errors.Is(err, azml.ErrNotFound) {
			// A record of its list was removed, and its manifest after that,
			// while this collector stood still. Else it is a loss.
			err = w.all(ctx, s)
		}
		if err != nil && !errors.Is(err, azml.ErrConflict) {
			return err
		}
		w.pass(day / 3)
	default:
		return w.write(ctx, s, rng)
	}
	return nil
}

// forget removes a record, whose manifest must be there till then.
func (w *world) forget(ctx context.Context, s *Store, rng *rand.Rand) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := slices.Collect(maps.Keys(w.records))
	if len(ids) == 0 {
		return nil
	}
	id := ids[rng.IntN(len(ids))]
	delete(w.records, id)
	_, err := s.Manifest(ctx, id)
	return err
}

// all tells whether the manifests of all records are there.
func (w *world) all(ctx context.Context, s *Store) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.records {
		if _, err := s.Manifest(ctx, id); err != nil {
			return fmt.Errorf("lost: %w", err)
		}
	}
	return nil
}

// write stores some files, half of them known to all writers, and a record.
func (w *world) write(ctx context.Context, s *Store, rng *rand.Rand) error {
	w.mu.Lock()
	w.writers[s] = w.clock.now()
	w.mu.Unlock()
	contents := map[string][]byte{}
	for range 1 + rng.IntN(4) {
		n := rng.IntN(12)
		contents[fmt.Sprint(n)] = noise(uint64(n), 1000*(1+n*n*n))
	}
	_, _, id, err := trySave(ctx, s, contents)
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.writers, s)
	if err == nil {
		w.records[id] = contents
	}
	return err
}

// roots lists the records that are there when it is ranged.
func (w *world) roots() func(yield func(string, error) bool) {
	return func(yield func(string, error) bool) {
		w.mu.Lock()
		ids := slices.Collect(maps.Keys(w.records))
		w.mu.Unlock()
		roots(ids...)(yield)
	}
}
