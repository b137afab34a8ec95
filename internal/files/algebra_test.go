package files

import (
	"testing"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/memory"
	"github.com/stretchr/testify/require"
)

func TestSubDiff(t *testing.T) {
	t.Parallel()
	s := New(memory.NewObjects(), nil)
	a, _, _ := save(t, s, map[string][]byte{"x": []byte("1"), "d/y": []byte("2"), "d/e/z": []byte("3"), "d.txt": []byte("4")})
	sub := a.Sub("d/")
	require.Equal(t, []string{"e/z", "y"}, paths(sub.Files))
	require.NoError(t, sub.Validate())
	require.Equal(t, []string{"d/e/z", "d/y"}, paths(sub.Under("d").Files))
	require.Equal(t, []string{"z"}, paths(a.Sub("d/e/z").Files))
	require.Empty(t, a.Sub("none").Files)
	require.Equal(t, a, a.Sub(""))

	b, _, _ := save(t, s, map[string][]byte{"x": []byte("9"), "new": []byte("2")})
	added, removed, changed := Diff(a, b)
	require.Equal(t, []string{"new"}, paths(added))
	require.Equal(t, []string{"d.txt", "d/e/z", "d/y"}, paths(removed))
	require.Equal(t, []string{"x"}, paths(changed))

	require.EqualValues(t, 4, a.Size())
}

func paths(files []File) []string {
	var all []string
	for _, f := range files {
		all = append(all, f.Path)
	}
	return all
}

func TestAddStored(t *testing.T) {
	t.Parallel()
	objects := memory.NewObjects()
	a, _, _ := save(t, New(objects, nil), map[string][]byte{"x": []byte("1")})
	for name, tc := range map[string]struct {
		change func(f *File)
		class  error
	}{
		"stored":       {func(*File) {}, nil},
		"missing":      {func(f *File) { f.Digest = emptyDigest.String(); f.Chunks = []Chunk{{f.Digest, 1}} }, azml.ErrConflict},
		"another size": {func(f *File) { f.Size = 7; f.Chunks = []Chunk{{f.Digest, 7}} }, azml.ErrInvalid},
	} {
		b, err := New(objects, nil).NewBatch(t.Context(), nil)
		require.NoError(t, err)
		f := a.Files[0]
		tc.change(&f)
		require.NoError(t, b.AddStored(f), name)
		m, stats, err := b.Commit(t.Context())
		if tc.class != nil {
			requireClass(t, err, tc.class)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, a.ID(), m.ID())
		require.Zero(t, stats.Objects)
	}
}
