package backendtest

import (
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

func rangesGroup() group[ObjectsHarness] {
	return group[ObjectsHarness]{"ranges", []check[ObjectsHarness]{{"all", checkRanges}, {"beyond", checkBeyond}}}
}

// checkRanges compares every range of a small object with the slice it must be.
func checkRanges(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	const data = "0123456789"
	put := s.put("a", data)
	for offset := range len(data) + 1 {
		for length := range len(data) + 3 {
			end := len(data)
			if length > 0 {
				end = min(offset+length, end)
			}
			opts := &backend.GetOptions{Offset: int64(offset), Length: int64(length)}
			require.Equal(t, data[offset:end], s.read("a", opts), "offset %d, length %d", offset, length)
		}
	}
	o, err := s.Get(t.Context(), "a", &backend.GetOptions{Offset: 3, Length: 2})
	require.NoError(t, err)
	require.NoError(t, o.Body.Close())
	requireInfo(t, put, o.Info)
}

func checkBeyond(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	s.put("a", "0123")
	s.put("empty", "")
	for key, offset := range map[string]int64{"a": 5, "empty": 1} {
		_, err := s.Get(t.Context(), key, &backend.GetOptions{Offset: -offset})
		require.ErrorIs(t, err, azml.ErrInvalid)
		_, err = s.Get(t.Context(), key, &backend.GetOptions{Offset: offset})
		require.ErrorIs(t, err, azml.ErrInvalid)
		_, err = s.Get(t.Context(), key, &backend.GetOptions{Offset: offset, Length: 1})
		require.ErrorIs(t, err, azml.ErrInvalid)
	}
	require.Empty(t, s.read("empty", &backend.GetOptions{Length: 7}))
}
