package backendtest

import (
	"bytes"
	"io"
	"math/rand/v2"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

func sizesGroup() group[ObjectsHarness] {
	return group[ObjectsHarness]{"sizes", []check[ObjectsHarness]{
		{"empty", checkEmpty},
		{"any bytes", checkAnyBytes},
		{"big", checkBig},
		{"short content", checkShortContent},
	}}
}

func checkEmpty(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	info := s.put("empty", "")
	require.Zero(t, info.Size)
	require.NotEmpty(t, info.ETag)
	require.Empty(t, s.get("empty"))
	requireInfo(t, info, s.stat("empty"))
	require.Equal(t, []string{"empty"}, s.keys(backend.ListOptions{}))
	_, err := s.Put(t.Context(), "empty", bytes.NewReader(nil), &backend.PutOptions{IfNoneMatch: true})
	require.ErrorIs(t, err, azml.ErrExists)
	s.delete("empty")
	require.Empty(t, s.keys(backend.ListOptions{}))
}

func checkAnyBytes(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	data := make([]byte, 256)
	for i := range data {
		data[i] = byte(i)
	}
	s.put("bytes", string(data))
	require.Equal(t, string(data), s.get("bytes"))
}

func checkBig(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	data := make([]byte, 9<<20+17)
	src := rand.NewChaCha8([32]byte{1})
	_, err := src.Read(data)
	require.NoError(t, err)
	info, err := s.Put(t.Context(), "big", bytes.NewReader(data), &backend.PutOptions{IfNoneMatch: true})
	require.NoError(t, err)
	require.EqualValues(t, len(data), info.Size)
	o, err := s.Get(t.Context(), "big", &backend.GetOptions{})
	require.NoError(t, err)
	defer o.Body.Close()
	got, err := io.ReadAll(o.Body)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got), "a big object has other bytes")
	requireInfo(t, info, o.Info)
}

// shortContent claims one byte more than it has.
type shortContent struct{ *bytes.Reader }

func (c shortContent) Size() int64 { return c.Reader.Size() + 1 }

func checkShortContent(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	before := s.put("there", "old")
	for _, key := range []string{"there", "new/one"} {
		_, err := s.Put(t.Context(), key, shortContent{bytes.NewReader([]byte("abc"))}, &backend.PutOptions{})
		require.Error(t, err, "content that ends early was stored as %q", key)
	}
	requireInfo(t, before, s.stat("there"))
	require.Equal(t, []string{"there"}, s.keys(backend.ListOptions{}))
	require.Empty(t, s.keys(backend.ListOptions{Prefix: "new", Delimiter: "/"}))
}
