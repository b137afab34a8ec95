package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/stretchr/testify/require"
)

// TestDyingAtEveryWrite stops the process after its n-th write, for every n, in
// the middle of two snapshots and two collections.
func TestDyingAtEveryWrite(t *testing.T) {
	t.Parallel()
	contents := func(from, to int) map[string][]byte {
		all := map[string][]byte{}
		for i := from; i < to; i++ {
			all[fmt.Sprint(i)] = noise(uint64(i), 200<<10)
		}
		return all
	}
	first, second := contents(0, 4), contents(3, 24)
	big := noise(99, 20<<20)
	for n := int64(0); ; n++ {
		objects := newSpy()
		_, _, kept := save(t, New(objects, nil), first)
		second["big"] = big
		objects.dieAfter(n)
		acknowledged := []string{kept}
		finished := func() bool {
			s := New(objects, nil)
			_, _, _, err := trySave(t.Context(), s, second)
			if err != nil {
				return false
			}
			if _, err = s.Collect(t.Context(), roots(kept), &CollectOptions{Exclusive: true}); err != nil {
				return false // it may have deleted the second one, which was no root
			}
			_, _, id, err := trySave(t.Context(), s, second)
			if err != nil {
				return false
			}
			acknowledged = append(acknowledged, id)
			_, err = s.Collect(t.Context(), roots(acknowledged...), &CollectOptions{Exclusive: true})
			return err == nil
		}()

		reopened := New(objects.Objects, nil)
		sound(t, reopened, acknowledged...)
		checkWhole(t, reopened, kept, first)
		_, err := reopened.Collect(t.Context(), roots(acknowledged...), &CollectOptions{Exclusive: true})
		require.NoError(t, err, "after write %d", n)
		report := sound(t, New(objects.Objects, nil), acknowledged...)
		require.Empty(t, report.Unreferenced, "after write %d", n)
		if finished {
			require.Greater(t, n, int64(10))
			return
		}
	}
}

// packless is a store that takes everything but packs.
type packless struct{ backend.Objects }

func (p packless) Put(ctx context.Context, key string, c backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	if strings.HasPrefix(key, packsPrefix) {
		return backend.Info{}, errDead
	}
	return p.Objects.Put(ctx, key, c, opts)
}

// TestAnIndexWithoutItsPack leaves behind an index, and a manifest, of a pack that
// was never stored: they are written beside each other.
func TestAnIndexWithoutItsPack(t *testing.T) {
	t.Parallel()
	objects := memory.NewObjects()
	contents := map[string][]byte{"f": noise(1, 10<<10)}
	dead := New(packless{objects}, nil)
	for len(keys(t, objects, indexesPrefix)) == 0 { // the failure of the one may keep the other from being begun
		_, _, _, err := trySave(t.Context(), dead, contents)
		require.ErrorIs(t, err, errDead)
	}
	require.NotEmpty(t, keys(t, objects, manifestsPrefix))

	for _, learned := range []bool{false, true} {
		s := New(objects, nil)
		if learned {
			require.NoError(t, s.refresh(t.Context()))
		}
		_, _, id := save(t, s, contents)
		checkWhole(t, New(objects, nil), id, contents)
		sound(t, New(objects, nil), id)
		_, err := s.Collect(t.Context(), roots(id), &CollectOptions{Exclusive: true})
		require.NoError(t, err)
		checkWhole(t, New(objects, nil), id, contents)
		require.Empty(t, sound(t, New(objects, nil), id).Unreferenced)
	}
}

func TestAbortLeavesNothingReferenced(t *testing.T) {
	t.Parallel()
	objects := memory.NewObjects()
	s := New(objects, nil)
	b, err := s.NewBatch(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, b.Add(t.Context(), "f", 0o644, &slowReader{data: noise(1, 40<<20)}))
	b.Abort()
	b.Abort()
	require.Error(t, b.AddDir("d"))
	_, _, err = b.Commit(t.Context())
	require.Error(t, err)
	_, err = s.Collect(t.Context(), roots(), &CollectOptions{Exclusive: true})
	require.NoError(t, err)
	require.Empty(t, keys(t, objects, packsPrefix))
}

// TestUploadsThatBreakOff has uploads of several packs end before their time: what was
// stored is not stored again.
func TestUploadsThatBreakOff(t *testing.T) {
	t.Parallel()
	whole := noise(7, 40<<20)
	breaking := errors.New("the file can't be read on")
	for name, ends := range map[string]func(clock *clock, objects *spy, b *Batch){
		"by an error": func(_ *clock, _ *spy, b *Batch) {
			require.ErrorIs(t, b.Add(t.Context(), "f", 0o644, io.MultiReader(bytes.NewReader(whole[:36<<20]), iotest.ErrReader(breaking))), breaking)
			b.Abort()
		},
		"by a kill": func(clock *clock, objects *spy, b *Batch) {
			clock.advance(indexAfter)
			require.ErrorIs(t, b.Add(t.Context(), "f", 0o644, io.MultiReader(bytes.NewReader(whole[:36<<20]), iotest.ErrReader(breaking))), breaking)
			require.NoError(t, b.uploads.drain())
			objects.dieAfter(0)
			b.Abort()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects, clock := newSpy(), &clock{}
			b, err := New(objects, &Options{Now: clock.now}).NewBatch(t.Context(), nil)
			require.NoError(t, err)
			ends(clock, objects, b)
			_, stats, id := save(t, New(objects.Objects, nil), map[string][]byte{"f": whole})
			require.Less(t, stats.NewBytes, int64(30<<20))
			checkWhole(t, New(objects.Objects, nil), id, map[string][]byte{"f": whole})
		})
	}
}
