package backendtest

import (
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

func reopenGroup() group[ObjectsHarness] {
	return group[ObjectsHarness]{"reopen", []check[ObjectsHarness]{{"same objects", checkReopen}}}
}

// checkReopen works on the same data by two values of the store in turn.
func checkReopen(t TB, h ObjectsHarness) {
	if h.Reopen == nil {
		t.Logf("this store does not outlive its value")
		return
	}
	first := store{t, h.Objects}
	first.put("a", "1")
	first.put("Empty/é", "")
	first.append("log", 0, "one")
	reopened, err := h.Reopen()
	require.NoError(t, err)
	second := store{t, reopened}
	require.Equal(t, first.infos(backend.ListOptions{}), second.infos(backend.ListOptions{}))
	require.Equal(t, "1", second.get("a"))
	info, err := second.putIf("a", "2", backend.PutOptions{IfMatch: first.stat("a").ETag})
	require.NoError(t, err)
	requireInfo(t, info, first.stat("a"))
	second.append("log", 3, "two")
	_, err = first.Append(t.Context(), "log", 3, []byte("lost"))
	require.ErrorIs(t, err, azml.ErrConflict)
	require.Equal(t, "onetwo", first.get("log"))
	first.delete("a")
	_, err = second.Stat(t.Context(), "a")
	require.ErrorIs(t, err, azml.ErrNotFound)
}
