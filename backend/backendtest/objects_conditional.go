package backendtest

import (
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

func conditionalGroup() group[ObjectsHarness] {
	return group[ObjectsHarness]{"conditional", []check[ObjectsHarness]{
		{"create only", checkCreateOnly},
		{"compare and swap", checkCompareAndSwap},
		{"replace", checkReplace},
		{"delete", checkDelete},
	}}
}

func (s store) putIf(key, data string, opts backend.PutOptions) (backend.Info, error) {
	return s.Put(s.Context(), key, strings.NewReader(data), &opts)
}

func checkCreateOnly(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	first, err := s.putIf("a/b", "1", backend.PutOptions{IfNoneMatch: true})
	require.NoError(t, err)
	_, err = s.putIf("a/b", "2", backend.PutOptions{IfNoneMatch: true})
	require.ErrorIs(t, err, azml.ErrExists)
	require.Equal(t, "1", s.get("a/b"))
	requireInfo(t, first, s.stat("a/b"))
	s.delete("a/b")
	_, err = s.putIf("a/b", "3", backend.PutOptions{IfNoneMatch: true})
	require.NoError(t, err, "creating after deleting")
	require.Equal(t, "3", s.get("a/b"))
	s.append("grown", 0, "x")
	_, err = s.putIf("grown", "2", backend.PutOptions{IfNoneMatch: true})
	require.ErrorIs(t, err, azml.ErrExists, "creating over what Append made")
}

func checkCompareAndSwap(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	first := s.put("a", "1")
	second, err := s.putIf("a", "2", backend.PutOptions{IfMatch: first.ETag})
	require.NoError(t, err)
	require.NotEqual(t, first.ETag, second.ETag)
	_, err = s.putIf("a", "3", backend.PutOptions{IfMatch: first.ETag})
	require.ErrorIs(t, err, azml.ErrConflict)
	require.Equal(t, "2", s.get("a"))
	requireInfo(t, second, s.stat("a"))
	listed := s.infos(backend.ListOptions{})[0]
	_, err = s.putIf("a", "4", backend.PutOptions{IfMatch: listed.ETag})
	require.NoError(t, err, "the ETag of a listing")
	s.delete("a")
	_, err = s.putIf("a", "5", backend.PutOptions{IfMatch: second.ETag})
	require.ErrorIs(t, err, azml.ErrConflict, "the object is gone")
	_, err = s.Stat(t.Context(), "a")
	require.ErrorIs(t, err, azml.ErrNotFound)
}

func checkReplace(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	for _, data := range []string{"long text", "x", "", "longer than all before"} {
		info := s.put("a", data)
		require.Equal(t, data, s.get("a"))
		require.EqualValues(t, len(data), info.Size)
		requireInfo(t, info, s.stat("a"))
	}
}

func checkDelete(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	first := s.put("a", "1")
	second := s.put("a", "2")
	err := s.Delete(t.Context(), "a", &backend.DeleteOptions{IfMatch: first.ETag})
	require.ErrorIs(t, err, azml.ErrConflict)
	require.Equal(t, "2", s.get("a"))
	require.NoError(t, s.Delete(t.Context(), "a", &backend.DeleteOptions{IfMatch: second.ETag}))
	requireGone(t, s.Delete(t.Context(), "a", &backend.DeleteOptions{}), h.Features.Retried)
	err = s.Delete(t.Context(), "a", &backend.DeleteOptions{IfMatch: second.ETag})
	require.True(t, err == nil && h.Features.Retried || isClass(err, azml.ErrNotFound, azml.ErrConflict), "deleting what is gone, with an ETag: %v", err)
	require.Empty(t, s.keys(backend.ListOptions{}))
}

func isClass(err error, classes ...error) bool {
	for _, class := range classes {
		if azml.ClassOf(err) == class {
			return true
		}
	}
	return false
}
