package backendtest

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
)

func readsGroup() group[ObjectsHarness] {
	return group[ObjectsHarness]{"reads", []check[ObjectsHarness]{
		{"stable while replaced", checkStableReads},
		{"stable while appended", checkStableAppends},
		{"no half write", checkNoHalfWrite},
		{"failed put changes nothing", checkFailedPut},
	}}
}

// openHalf opens the object and reads its first bytes.
func (s store) openHalf(key string, half string) *backend.Object {
	s.Helper()
	o, err := s.Get(s.Context(), key, &backend.GetOptions{})
	require.NoError(s, err)
	start := make([]byte, len(half))
	_, err = io.ReadFull(o.Body, start)
	require.NoError(s, err)
	require.Equal(s, half, string(start))
	return o
}

func (s store) requireRest(o *backend.Object, want string) {
	s.Helper()
	rest, err := io.ReadAll(o.Body)
	require.NoError(s, err)
	require.NoError(s, o.Body.Close())
	require.Equal(s, len(want), len(rest))
	require.True(s, want == string(rest), "the rest is of another state of the object")
}

func checkStableReads(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	old := strings.Repeat("old ", 50_000)
	s.put("a", old)
	first := s.openHalf("a", old[:100])
	second := s.openHalf("a", old[:100])
	s.put("a", strings.Repeat("NEW ", 50_000))
	s.requireRest(first, old[100:])
	s.delete("a")
	s.requireRest(second, old[100:])
}

func checkStableAppends(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	s.append("a", 0, "first")
	o := s.openHalf("a", "fi")
	s.append("a", 5, "second")
	require.EqualValues(t, 5, o.Info.Size)
	s.requireRest(o, "rst")
	require.Equal(t, "firstsecond", s.get("a"))
}

// watchedContent calls watch whenever a part of it is to be read, one call at
// a time.
type watchedContent struct {
	*bytes.Reader
	mu    *sync.Mutex
	watch func() error
}

func watched(size int, watch func() error) watchedContent {
	return watchedContent{bytes.NewReader(make([]byte, size)), &sync.Mutex{}, watch}
}

// ReadAt is called by the driver from any goroutine.
func (c watchedContent) ReadAt(p []byte, offset int64) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.watch(); err != nil {
		return 0, err
	}
	return c.Reader.ReadAt(p, offset)
}

// checkNoHalfWrite reads the object in the midst of every write.
func checkNoHalfWrite(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	before := s.put("a", "old")
	var states []string
	content := watched(5<<20, func() error {
		states = append(states, s.snapshot("a"))
		return nil
	})
	for _, key := range []string{"a", "new"} {
		_, err := s.Put(t.Context(), key, content, &backend.PutOptions{})
		require.NoError(t, err)
		require.NotEmpty(t, states)
		for _, state := range states {
			require.Equal(t, fmt.Sprint("old ", before.ETag, " [a]"), state, "seen while Put of %q ran", key)
		}
		states = nil
		before = s.put("a", "old")
	}
}

// snapshot says what can be seen of the store and an object. It is called by
// drivers' goroutines, so it must not end the check.
func (s store) snapshot(key string) string {
	o, err := s.Get(s.Context(), key, &backend.GetOptions{})
	if err != nil {
		return err.Error()
	}
	defer o.Body.Close()
	data, err := io.ReadAll(o.Body)
	if err != nil {
		return err.Error()
	}
	keys := []string{}
	for info, err := range s.List(s.Context(), &backend.ListOptions{}) {
		if err != nil {
			return err.Error()
		}
		keys = append(keys, info.Key)
	}
	return fmt.Sprint(string(data), " ", o.Info.ETag, " ", keys)
}

func checkFailedPut(t TB, h ObjectsHarness) {
	s := store{t, h.Objects}
	before := s.put("a", "old")
	for _, key := range []string{"a", "new"} {
		calls := 0
		content := watched(5<<20, func() error {
			if calls++; calls > 1 { // a driver that reads all at once never sees this
				return io.ErrClosedPipe
			}
			return nil
		})
		_, err := s.Put(t.Context(), key, content, &backend.PutOptions{})
		if calls == 1 {
			require.NoError(t, err)
			return
		}
		require.Error(t, err)
		require.Equal(t, []string{"a"}, s.keys(backend.ListOptions{}))
		requireInfo(t, before, s.stat("a"))
	}
}
