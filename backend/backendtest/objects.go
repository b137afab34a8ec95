package backendtest

import (
	"io"
	"iter"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
)

func objectsGroups() []group[ObjectsHarness] {
	return []group[ObjectsHarness]{
		keysGroup(), sizesGroup(), conditionalGroup(), etagsGroup(), appendGroup(), rangesGroup(), listGroup(),
		readsGroup(), cancelGroup(), concurrencyGroup(), modelGroup(), reopenGroup(), abilitiesGroup(), changesGroup(),
	}
}

// store is an object store whose calls must succeed.
type store struct {
	TB
	backend.Objects
}

func (s store) put(key, data string) backend.Info {
	s.Helper()
	info, err := s.Put(s.Context(), key, strings.NewReader(data), &backend.PutOptions{})
	require.NoError(s, err)
	return info
}

func (s store) append(key string, offset int64, data string) backend.Info {
	s.Helper()
	info, err := s.Append(s.Context(), key, offset, []byte(data))
	require.NoError(s, err)
	return info
}

func (s store) get(key string) string {
	s.Helper()
	return s.read(key, &backend.GetOptions{})
}

func (s store) read(key string, opts *backend.GetOptions) string {
	s.Helper()
	o, err := s.Get(s.Context(), key, opts)
	require.NoError(s, err)
	data, err := io.ReadAll(o.Body)
	require.NoError(s, err)
	require.NoError(s, o.Body.Close())
	return string(data)
}

func (s store) stat(key string) backend.Info {
	s.Helper()
	info, err := s.Stat(s.Context(), key)
	require.NoError(s, err)
	return info
}

func (s store) delete(key string) {
	s.Helper()
	require.NoError(s, s.Delete(s.Context(), key, &backend.DeleteOptions{}))
}

func (s store) infos(opts backend.ListOptions) []backend.Info {
	s.Helper()
	return collect(s, s.List(s.Context(), &opts))
}

func (s store) keys(opts backend.ListOptions) []string {
	s.Helper()
	keys := []string{}
	for _, info := range s.infos(opts) {
		keys = append(keys, info.Key)
	}
	return keys
}

// collect ranges over a list that must end without an error.
func collect[T any](t TB, list iter.Seq2[T, error]) []T {
	t.Helper()
	all := []T{}
	for v, err := range list {
		require.NoError(t, err)
		all = append(all, v)
	}
	return all
}

// requireInfo checks everything in a description but the ETag's text.
func requireInfo(t TB, want, got backend.Info) {
	t.Helper()
	require.Equal(t, want.Key, got.Key)
	require.Equal(t, want.Size, got.Size, "size of %q", want.Key)
	require.Equal(t, want.ETag, got.ETag, "ETag of %q", want.Key)
	require.Equal(t, want.IsPrefix, got.IsPrefix, "IsPrefix of %q", want.Key)
	require.True(t, want.Modified.Equal(got.Modified), "time of %q: %v, not %v", want.Key, got.Modified, want.Modified)
}
