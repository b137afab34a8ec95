package backendtest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

func modelGroup() group[ObjectsHarness] {
	return group[ObjectsHarness]{"model", []check[ObjectsHarness]{{"random operations", checkModel}}}
}

// model is what a store must look like: a map, and the ETags of old.
type model struct {
	store
	rnd   *rand.Rand
	want  map[string]modelObject
	stale []backend.ETag
	keys  []string
	steps int
}

type modelObject struct {
	data   string
	etag   backend.ETag
	append bool // made by Append
}

// checkModel does random operations on the store and on a map, and compares
// them after each.
func checkModel(t TB, h ObjectsHarness) {
	m := &model{store: store{t, h.Objects}, rnd: random(t), want: map[string]modelObject{}, stale: []backend.ETag{"none"}}
	m.keys = []string{"a", "A", "a/b", "a/b/c", "a/B.json", "a.b", "a-b", "ab/c", "b/c", "b c", "é", strings.Repeat("n", 250) + "/x"}
	for range 150 {
		m.step(h.Features)
		m.compare()
		if h.Reopen != nil && m.rnd.IntN(15) == 0 {
			reopened, err := h.Reopen()
			require.NoError(t, err)
			m.Objects = reopened
			m.compare()
		}
	}
}

func (m *model) step(features ObjectsFeatures) {
	m.Helper()
	key := m.keys[m.rnd.IntN(len(m.keys))]
	data := strings.Repeat(string(rune('a'+m.rnd.IntN(26))), m.rnd.IntN(50))
	if m.steps++; features.Retried { // who tries again takes the same bytes for its own
		data = fmt.Sprint(m.steps, data)
	}
	switch m.rnd.IntN(6) {
	case 0, 1, 2:
		m.randomPut(key, data)
	case 3:
		if old, ok := m.want[key]; !ok || old.append || features.AppendToPut {
			m.randomAppend(key, data)
		}
	case 4:
		m.randomDelete(key, features.Retried)
	case 5:
		m.randomRead(key)
	}
}

// etag gives the object's ETag, or one it had or never had.
func (m *model) etag(key string) backend.ETag {
	if old, ok := m.want[key]; ok && m.rnd.IntN(2) == 0 {
		return old.etag
	}
	return m.stale[m.rnd.IntN(len(m.stale))]
}

func (m *model) randomPut(key, data string) {
	m.Helper()
	old, there := m.want[key]
	var opts backend.PutOptions
	var class error
	switch m.rnd.IntN(3) {
	case 0:
		if opts.IfNoneMatch = true; there {
			class = azml.ErrExists
		}
	case 1:
		opts.IfMatch = m.etag(key)
		if !there || opts.IfMatch != old.etag {
			class = azml.ErrConflict
		}
	}
	info, err := m.putIf(key, data, opts)
	require.Equal(m, class, azml.ClassOf(err), "put %q %+v: %v", key, opts, err)
	if err == nil {
		m.set(key, modelObject{data: data, etag: info.ETag})
	}
}

func (m *model) randomAppend(key, data string) {
	m.Helper()
	old := m.want[key]
	offset := int64(len(old.data))
	var class error
	if m.rnd.IntN(3) == 0 {
		offset += int64(m.rnd.IntN(3)) + 1
		class = azml.ErrConflict
	}
	info, err := m.Append(m.Context(), key, offset, []byte(data))
	require.Equal(m, class, azml.ClassOf(err), "append %q at %d: %v", key, offset, err)
	if err == nil {
		m.set(key, modelObject{old.data + data, info.ETag, true})
	}
}

func (m *model) randomDelete(key string, retried bool) {
	m.Helper()
	old, there := m.want[key]
	var opts backend.DeleteOptions
	if there && m.rnd.IntN(2) == 0 {
		opts.IfMatch = m.etag(key)
	}
	var class error
	if opts.IfMatch != "" && opts.IfMatch != old.etag {
		class = azml.ErrConflict
	}
	err := m.Delete(m.Context(), key, &opts)
	if !there {
		requireGone(m, err, retried)
		return
	}
	require.Equal(m, class, azml.ClassOf(err), "delete %q %+v: %v", key, opts, err)
	if err == nil {
		m.stale = append(m.stale, old.etag)
		delete(m.want, key)
	}
}

func (m *model) randomRead(key string) {
	m.Helper()
	want, there := m.want[key]
	if !there {
		_, err := m.Stat(m.Context(), key)
		require.ErrorIs(m, err, azml.ErrNotFound)
		return
	}
	offset := m.rnd.IntN(len(want.data) + 1)
	length := m.rnd.IntN(len(want.data) + 2)
	end := len(want.data)
	if length > 0 {
		end = min(end, offset+length)
	}
	got := m.read(key, &backend.GetOptions{Offset: int64(offset), Length: int64(length)})
	require.Equal(m, want.data[offset:end], got)
}

func (m *model) set(key string, o modelObject) {
	m.Helper()
	require.NotContains(m, m.stale, o.etag, "an ETag came back")
	if old, ok := m.want[key]; ok {
		require.NotEqual(m, old.etag, o.etag, "a write of %q left its ETag", key)
		m.stale = append(m.stale, old.etag)
	}
	m.want[key] = o
}

// compare lists everything, and once more with random options.
func (m *model) compare() {
	m.Helper()
	sorted := slices.Sorted(maps.Keys(m.want))
	infos := m.infos(backend.ListOptions{})
	require.Len(m, infos, len(sorted))
	for i, info := range infos {
		want := m.want[sorted[i]]
		require.Equal(m, sorted[i], info.Key)
		require.EqualValues(m, len(want.data), info.Size, "size of %q", info.Key)
		require.Equal(m, want.etag, info.ETag, "ETag of %q", info.Key)
	}
	if len(sorted) > 0 {
		key := sorted[m.rnd.IntN(len(sorted))]
		require.Equal(m, m.want[key].data, m.get(key))
	}
	prefix := m.keys[m.rnd.IntN(len(m.keys))]
	opts := backend.ListOptions{Prefix: prefix[:m.rnd.IntN(len(prefix)+1)], Delimiter: "/", StartAfter: m.keys[m.rnd.IntN(len(m.keys))]}
	require.Equal(m, expectedKeys(sorted, opts), m.store.keys(opts), "%+v", opts)
}
