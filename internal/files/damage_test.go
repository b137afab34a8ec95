package files

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/stretchr/testify/require"
)

// TestDamageIsFound damages each kind of object and asks Verify, Open and Restore.
func TestDamageIsFound(t *testing.T) {
	t.Parallel()
	flip := func(data []byte) []byte { data[0] ^= 1; return data }
	cut := func(data []byte) []byte { return data[:len(data)/2] }
	for name, tc := range map[string]struct {
		suffix  string
		damage  func([]byte) []byte // nil deletes
		shallow bool                // found without reading
		reads   bool                // does not stop readers
		healed  bool                // the next snapshot and collection heal it
	}{
		"flipped chunk":        {packSuffix, flip, false, false, false},
		"short pack":           {packSuffix, cut, true, false, true},
		"missing pack":         {packSuffix, nil, true, false, true},
		"flipped directory":    {packSuffix, func(b []byte) []byte { b[len(b)-20] ^= 1; return b }, false, true, false},
		"flipped index":        {indexSuffix, flip, true, false, true},
		"missing index":        {indexSuffix, nil, true, false, true},
		"short index":          {indexSuffix, cut, true, false, true},
		"flipped manifest":     {manifestSuffix, flip, true, false, true},
		"missing manifest":     {manifestSuffix, nil, true, false, true},
		"manifest of nonsense": {manifestSuffix, func([]byte) []byte { return nil }, true, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects := memory.NewObjects()
			contents := map[string][]byte{"a": noise(1, 5000), "b": noise(2, 50)}
			m, _, id := save(t, New(objects, nil), contents)
			all := keys(t, objects, "files/")
			key := all[slices.IndexFunc(all, func(k string) bool { return strings.HasSuffix(k, tc.suffix) })]
			harm(t, objects, key, tc.damage)

			s := New(objects, nil)
			for _, deep := range []bool{false, true} {
				report, err := s.Verify(t.Context(), roots(id), &VerifyOptions{Deep: deep})
				require.NoError(t, err)
				if deep || tc.shallow {
					require.NotEmpty(t, report.Damages, "deep %v", deep)
					if !tc.reads {
						require.True(t, slices.ContainsFunc(report.Damages, func(d Damage) bool { return len(d.Files) > 0 }))
					}
				}
			}
			_, err := s.Manifest(t.Context(), id)
			failed := err != nil
			for _, f := range m.Files {
				r, err := s.Open(t.Context(), f)
				require.NoError(t, err)
				if _, err = io.ReadAll(r); err != nil {
					requireClass(t, err, azml.ErrDamaged)
					require.ErrorContains(t, err, f.Path)
					failed = true
				}
			}
			require.Equal(t, !tc.reads, failed)
			if tc.suffix != manifestSuffix && !tc.reads {
				dir := t.TempDir()
				requireClass(t, s.Restore(t.Context(), m, dir, nil), azml.ErrDamaged)
				for path := range tree(t, dir) {
					require.NotContains(t, path, ".azml")
				}
			}
			if tc.healed {
				_, _, again := save(t, New(objects, nil), contents)
				require.Equal(t, id, again)
				checkWhole(t, New(objects, nil), id, contents)
			}
		})
	}
}

func harm(t *testing.T, objects backend.Objects, key string, damage func([]byte) []byte) {
	t.Helper()
	if damage == nil {
		require.NoError(t, objects.Delete(t.Context(), key, &backend.DeleteOptions{}))
		return
	}
	o, err := objects.Get(t.Context(), key, &backend.GetOptions{})
	require.NoError(t, err)
	data, err := io.ReadAll(o.Body)
	require.NoError(t, err)
	require.NoError(t, o.Body.Close())
	_, err = objects.Put(t.Context(), key, content(damage(data)), &backend.PutOptions{})
	require.NoError(t, err)
}

// A lost index is rebuilt from the packs by a collection.
func TestCollectRebuildsTheIndex(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func([]byte) []byte{"missing": nil, "damaged": func(b []byte) []byte { b[9] ^= 1; return b }} {
		objects := memory.NewObjects()
		contents := map[string][]byte{"a": noise(1, 5000), "b": noise(2, 20<<20)}
		_, _, id := save(t, New(objects, nil), contents)
		for _, key := range keys(t, objects, packsPrefix) {
			if strings.HasSuffix(key, indexSuffix) {
				harm(t, objects, key, damage)
			}
		}
		r, err := New(objects, nil).Collect(t.Context(), roots(id), &CollectOptions{Exclusive: true})
		require.NoError(t, err, name)
		require.Zero(t, r.Missing)
		sound(t, New(objects, nil), id)
		checkWhole(t, New(objects, nil), id, contents)
	}
}
