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
		{"waits", checkWaits},
		{"waits for nothing", checkWaitsInVain},
		{"changed while waiting", checkChangedWhileWaiting},
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

// checkWaits looks while Put waits: what it writes can't be seen.
func checkWaits(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	waited := false // else an answer may have been lost, and the object be there
	_, err := s.putIf("a/new", "1", backend.PutOptions{IfNoneMatch: true, Before: func() error {
		if !waited {
			_, err := s.Stat(t.Context(), "a/new")
			require.ErrorIs(t, err, azml.ErrNotFound)
			require.Empty(t, s.keys(backend.ListOptions{}))
		}
		waited = true
		return nil
	}})
	require.NoError(t, err)
	require.True(t, waited)
	require.Equal(t, "1", s.get("a/new"))
	for _, conditional := range []bool{false, true} {
		opts := backend.PutOptions{}
		if conditional {
			opts.IfMatch = s.stat("a/new").ETag
		}
		before := s.get("a/new")
		waited = false
		opts.Before = func() error {
			if !waited {
				require.Equal(t, before, s.get("a/new"))
			}
			waited = true
			return nil
		}
		_, err = s.putIf("a/new", before+"2", opts)
		require.NoError(t, err)
		require.True(t, waited)
		require.Equal(t, before+"2", s.get("a/new"))
	}
}

// checkWaitsInVain lets fail what Put waits for.
func checkWaitsInVain(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	old := s.put("old", "1")
	for _, class := range []error{azml.ErrUnavailable, azml.ErrConflict, azml.ErrExists} {
		calls := 0
		fails := func() error { calls++; return class }
		_, err := s.putIf("a/new", "2", backend.PutOptions{IfNoneMatch: true, Before: fails})
		require.ErrorIs(t, err, class)
		_, err = s.putIf("old", "2", backend.PutOptions{IfMatch: old.ETag, Before: fails})
		require.ErrorIs(t, err, class)
		_, err = s.putIf("old", "2", backend.PutOptions{Before: fails})
		require.ErrorIs(t, err, class)
		require.GreaterOrEqual(t, calls, 3)
	}
	require.Equal(t, []string{"old"}, s.keys(backend.ListOptions{}))
	requireInfo(t, old, s.stat("old"))
}

// checkChangedWhileWaiting has somebody else write the object while Put waits:
// conditions count when it is written.
func checkChangedWhileWaiting(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	once := func(do func() error) func() error {
		done := false
		return func() error {
			if done {
				return nil
			}
			done = true
			return do()
		}
	}
	_, err := s.putIf("a", "1", backend.PutOptions{IfNoneMatch: true, Before: once(func() error {
		_, err := s.Append(t.Context(), "a", 0, []byte("other"))
		return err
	})})
	require.ErrorIs(t, err, azml.ErrExists)
	require.Equal(t, "other", s.get("a"))
	_, err = s.putIf("b", "2", backend.PutOptions{IfMatch: s.put("b", "1").ETag, Before: once(func() error {
		_, err := s.putIf("b", "other", backend.PutOptions{})
		return err
	})})
	require.ErrorIs(t, err, azml.ErrConflict)
	require.Equal(t, "other", s.get("b"))
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
