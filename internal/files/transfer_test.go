package files

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// transferred brings a manifest and stores it.
func transferred(t testing.TB, to, from *Store, m *Manifest) Stats {
	t.Helper()
	transfer, err := to.NewTransfer(t.Context(), from)
	require.NoError(t, err)
	defer transfer.Abort()
	require.NoError(t, transfer.Add(t.Context(), m))
	stats, err := transfer.Commit(t.Context())
	require.NoError(t, err)
	require.NoError(t, transfer.Check(m))
	_, err = to.PutManifest(t.Context(), m)
	require.NoError(t, err)
	return stats
}

// TestTransferBringsWhatIsLacking: chunks that are there are not sent, whatever
// packs they lie in, and what the collector of the source has moved is found.
func TestTransferBringsWhatIsLacking(t *testing.T) {
	t.Parallel()
	here, there := &clock{}, &clock{}
	to, from := New(here.objects(), &Options{Now: here.now}), New(there.objects(), &Options{Now: there.now})
	contents := map[string][]byte{"big": noise(1, 9<<20), "small": noise(2, 1000), "empty": nil}
	m, _, id := save(t, from, contents)
	save(t, from, map[string][]byte{"gone": noise(3, 20<<20)})
	stats := transferred(t, to, from, m)
	require.EqualValues(t, 9<<20+1000, stats.NewBytes)
	sound(t, to, id)
	require.Zero(t, transferred(t, to, from, m).NewChunks)

	changed := maps.Clone(contents)
	changed["big"] = slices.Concat(contents["big"], []byte("x"))
	second, _, secondID := save(t, from, changed)
	// The collector is another process, and moves what is left of the packs that
	// this one knows.
	report, err := New(from.objects, &Options{Now: there.now}).Collect(t.Context(), roots(id, secondID), &CollectOptions{Exclusive: true})
	require.NoError(t, err)
	require.Positive(t, report.Deleted)
	stats = transferred(t, to, from, second)
	require.Positive(t, stats.NewChunks)
	require.LessOrEqual(t, stats.NewBytes, int64(maxChunk+1))
	sound(t, to, id, secondID)
}

// TestTransferBesideACollector: what the destination's collector has condemned
// counts as absent, and is sent again.
func TestTransferBesideACollector(t *testing.T) {
	t.Parallel()
	c := &clock{}
	objects := c.objects()
	to := New(objects, &Options{Now: c.now})
	from := New(c.objects(), &Options{Now: c.now})
	m, _, id := save(t, from, map[string][]byte{"a": noise(1, 100_000)})
	transferred(t, to, from, m) // and its record was never written
	c.advance(2 * day)
	report, err := New(objects, &Options{Now: c.now}).Collect(t.Context(), roots(), nil)
	require.NoError(t, err)
	require.Positive(t, report.Condemned)
	require.Equal(t, 1, transferred(t, to, from, m).NewChunks)
	c.advance(2 * day)
	_, err = New(objects, &Options{Now: c.now}).Collect(t.Context(), roots(id), nil)
	require.NoError(t, err)
	sound(t, New(objects, &Options{Now: c.now}), id)
}

// TestTransferSpreadsNoDamage flips a bit of a pack.
func TestTransferSpreadsNoDamage(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	c := &clock{}
	from, to := New(c.objects(), &Options{Now: c.now}), New(c.objects(), &Options{Now: c.now})
	good, _, goodID := save(t, from, map[string][]byte{"good": noise(1, 50_000)})
	bad, _, _ := save(t, from, map[string][]byte{"bad": noise(2, 50_000)})
	for _, key := range keys(t, from.objects, packsPrefix) {
		data, _, err := from.get(t.Context(), key)
		require.NoError(t, err)
		if d, _ := parseDigest(bad.Files[0].Digest); digestOf(data[:50_000]) != d {
			continue
		}
		bit := rand.New(rand.NewPCG(seed, 0)).IntN(50_000 * 8)
		data[bit/8] ^= 1 << (bit % 8)
		_, err = from.objects.Put(t.Context(), key, content(data), &backend.PutOptions{})
		require.NoError(t, err)
	}
	transfer, err := to.NewTransfer(t.Context(), from)
	require.NoError(t, err)
	require.NoError(t, transfer.Add(t.Context(), good, bad))
	_, err = transfer.Commit(t.Context())
	require.NoError(t, err)
	require.NoError(t, transfer.Check(good))
	require.ErrorIs(t, transfer.Check(bad), azml.ErrDamaged)
	require.ErrorContains(t, transfer.Check(bad), "bad")
	_, err = to.PutManifest(t.Context(), good)
	require.NoError(t, err)
	sound(t, to, goodID)
}

// TestTransferEnds with its context.
func TestTransferEnds(t *testing.T) {
	t.Parallel()
	c := &clock{}
	from, to := New(c.objects(), nil), New(c.objects(), nil)
	m, _, _ := save(t, from, map[string][]byte{"a": noise(1, 1000)})
	ctx, cancel := context.WithCancel(t.Context())
	transfer, err := to.NewTransfer(ctx, from)
	require.NoError(t, err)
	cancel()
	require.ErrorIs(t, transfer.Add(ctx, m), context.Canceled)
	_, err = transfer.Commit(ctx)
	require.ErrorIs(t, err, context.Canceled)
}
