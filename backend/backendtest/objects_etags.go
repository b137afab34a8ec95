package backendtest

import (
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
)

func etagsGroup() group[ObjectsHarness] {
	return group[ObjectsHarness]{"etags", []check[ObjectsHarness]{
		{"never again", checkETagsNeverAgain},
		{"everywhere the same", checkETagsTheSame},
	}}
}

// checkETagsNeverAgain writes the same bytes in quick succession by every way
// there is.
func checkETagsNeverAgain(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	seen := map[backend.ETag]int{}
	look := func(step int, info backend.Info) {
		require.NotEmpty(t, info.ETag)
		before, again := seen[info.ETag]
		require.False(t, again, "step %d gave the ETag of step %d again", step, before)
		seen[info.ETag] = step
		require.Equal(t, info.ETag, s.stat("a").ETag)
	}
	for step := range 30 {
		look(step*10, s.put("a", "same"))
		look(step*10+1, s.put("a", "same"))
		s.delete("a")
		info, err := s.putIf("a", "same", backend.PutOptions{IfNoneMatch: true})
		require.NoError(t, err)
		look(step*10+2, info)
		info, err = s.putIf("a", "same", backend.PutOptions{IfMatch: info.ETag})
		require.NoError(t, err)
		look(step*10+3, info)
		s.delete("a")
		look(step*10+4, s.append("a", 0, "sa"))
		look(step*10+5, s.append("a", 2, "me"))
		s.delete("a")
	}
}

func checkETagsTheSame(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	written := []backend.Info{s.put("a", "1"), s.append("b", 0, "2")}
	written[1] = s.append("b", 1, "3")
	for i, info := range s.infos(backend.ListOptions{}) {
		requireInfo(t, written[i], info)
		requireInfo(t, written[i], s.stat(info.Key))
		o, err := s.Get(t.Context(), info.Key, &backend.GetOptions{Length: 1})
		require.NoError(t, err)
		require.NoError(t, o.Body.Close())
		requireInfo(t, written[i], o.Info)
		require.False(t, info.Modified.IsZero())
	}
}
