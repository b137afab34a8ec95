package backendtest

import (
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

func appendGroup() group[ObjectsHarness] {
	return group[ObjectsHarness]{"append", []check[ObjectsHarness]{
		{"grows", checkAppendGrows},
		{"offset", checkAppendOffset},
		{"empty", checkAppendEmpty},
		{"to a put object", checkAppendToPut},
		{"beside put and delete", checkAppendBeside},
	}}
}

func checkAppendGrows(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	want := ""
	for i := range 20 {
		data := strings.Repeat(string(rune('a'+i)), i*i+1)
		info := s.append("logs/a", int64(len(want)), data)
		want += data
		require.EqualValues(t, len(want), info.Size)
		requireInfo(t, info, s.stat("logs/a"))
		require.Equal(t, want, s.get("logs/a"))
	}
}

func checkAppendOffset(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	ctx := t.Context()
	_, err := s.Append(ctx, "a", 1, []byte("x"))
	require.ErrorIs(t, err, azml.ErrConflict, "an object that is not there has size 0")
	require.Empty(t, s.keys(backend.ListOptions{}))
	s.append("a", 0, "abc")
	before := s.stat("a")
	for _, offset := range []int64{0, 1, 2, 4, 100} {
		_, err = s.Append(ctx, "a", offset, []byte("xyz"))
		require.ErrorIs(t, err, azml.ErrConflict, "offset %d", offset)
	}
	require.Equal(t, "abc", s.get("a"))
	requireInfo(t, before, s.stat("a"))
	s.append("a", 3, "def")
	require.Equal(t, "abcdef", s.get("a"))
}

func checkAppendEmpty(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	s.append("a", 0, "")
	require.Equal(t, []string{"a"}, s.keys(backend.ListOptions{}))
	s.append("a", 0, "x")
	s.append("a", 1, "")
	require.Equal(t, "x", s.get("a"))
}

func checkAppendToPut(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	s.put("a", "put")
	_, err := s.Append(t.Context(), "a", 3, []byte("x"))
	if h.Features.AppendToPut {
		require.NoError(t, err)
		require.Equal(t, "putx", s.get("a"))
		return
	}
	require.ErrorIs(t, err, azml.ErrUnsupported, "AppendToPut is not declared")
	require.Equal(t, "put", s.get("a"))
}

func checkAppendBeside(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	info := s.append("a", 0, "one")
	info2 := s.append("a", 3, "two")
	_, err := s.putIf("a", "x", backend.PutOptions{IfMatch: info.ETag})
	require.ErrorIs(t, err, azml.ErrConflict, "an Append changes the ETag")
	err = s.Delete(t.Context(), "a", &backend.DeleteOptions{IfMatch: info.ETag})
	require.ErrorIs(t, err, azml.ErrConflict, "an Append changes the ETag")
	require.NoError(t, s.Delete(t.Context(), "a", &backend.DeleteOptions{IfMatch: info2.ETag}))
	s.append("a", 0, "new")
	require.Equal(t, "new", s.get("a"))
}
