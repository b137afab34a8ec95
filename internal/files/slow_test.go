package files

import (
	"bytes"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A collector that stands still for long between its decision to condemn and
// the writing of the list must not shorten the time that writers have.
func TestSlowCollector(t *testing.T) {
	t.Parallel()
	c := &clock{}
	objects := &spy{Objects: c.objects()}
	contents := map[string][]byte{"a": noise(1, firstPrice+1)}
	save(t, New(objects, &Options{Now: c.now}), contents)
	c.advance(day)

	var writer *Batch
	var once sync.Once
	objects.beforePut = func(string) {
		once.Do(func() {
			c.advance(day * 9 / 10)
			var err error
			writer, err = New(objects.Objects, &Options{Now: c.now}).NewBatch(t.Context(), nil)
			require.NoError(t, err)
			require.NoError(t, writer.Add(t.Context(), "a", 0o644, bytes.NewReader(contents["a"])))
		})
	}
	s := New(objects, &Options{Now: c.now})
	r, err := s.Collect(t.Context(), roots(), nil)
	require.NoError(t, err)
	require.Equal(t, 2, r.Condemned)
	c.advance(day * 2 / 10)
	r, err = s.Collect(t.Context(), roots(), nil)
	require.NoError(t, err)
	require.Zero(t, r.Deleted)

	m, stats, err := writer.Commit(t.Context())
	require.NoError(t, err)
	require.Zero(t, stats.NewChunks)
	id, err := s.PutManifest(t.Context(), m)
	require.NoError(t, err)
	c.advance(day * 9 / 10)
	_, err = s.Collect(t.Context(), roots(id), nil)
	require.NoError(t, err)
	checkWhole(t, New(objects, nil), id, contents)
}
