package backendtest

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
)

func changesGroup() group[ObjectsHarness] {
	return group[ObjectsHarness]{"changes", []check[ObjectsHarness]{
		{"declared or nothing", checkFeedDeclared},
		{"every write is named", withFeed(checkEveryWrite)},
		{"in order, once, below the prefix", withFeed(checkChangedKeys)},
		{"falls silent", withFeed(checkSilence)},
		{"cursors", withFeed(checkCursors)},
		{"cancelled", withFeed(checkFeedCancelled)},
		{"other openings", withFeed(checkFeedReopened)},
		{"a write under way", withFeed(checkWriteUnderWay)},
		{"nothing is missed", withFeed(checkNothingMissed)},
	}}
}

// follower is a reader of a store's changes.
type follower struct {
	store
	feed   backend.ChangeFeed
	cursor string
}

// withFeed makes a check of one that needs a feed and begins with a cursor.
func withFeed(run func(f *follower, h ObjectsHarness)) func(t TB, h ObjectsHarness) {
	return func(t TB, h ObjectsHarness) {
		if !h.Features.Changes {
			t.Logf("this store has no change feed")
			return
		}
		feed, ok := backend.As[backend.ChangeFeed](h.Objects)
		require.True(t, ok, "the store is no ChangeFeed")
		f := &follower{store: store{t, h.Objects}, feed: feed}
		f.begin()
		run(f, h)
	}
}

// begin gets a cursor to begin with.
func (f *follower) begin() {
	f.Helper()
	changes, err := f.feed.Changes(f.Context(), "", &backend.ChangesOptions{})
	require.NoError(f, err)
	require.True(f, changes.Lost, "an empty cursor is Lost")
	require.Empty(f, changes.Keys, "keys beside Lost")
	require.NotEmpty(f, changes.Cursor, "a quiet store has a place to go on from")
	f.cursor = changes.Cursor
}

// since gives the keys that changed since a cursor, and the next cursor.
func (f *follower) since(cursor, prefix string) ([]string, string) {
	f.Helper()
	changes, err := f.feed.Changes(f.Context(), cursor, &backend.ChangesOptions{Prefix: prefix})
	require.NoError(f, err)
	require.False(f, changes.Lost, "the cursor is lost")
	require.LessOrEqual(f, len(changes.Cursor), 200, "bytes of the cursor")
	return changes.Keys, changes.Cursor
}

// next gives the keys that changed since the last call.
func (f *follower) next() (keys []string) {
	f.Helper()
	keys, f.cursor = f.since(f.cursor, "")
	return keys
}

// checkFeedDeclared looks that a store without the ability does not seem to
// have it.
func checkFeedDeclared(t TB, h ObjectsHarness) {
	feed, ok := backend.As[backend.ChangeFeed](h.Objects)
	if h.Features.Changes {
		require.True(t, ok, "the store is no ChangeFeed")
		return
	}
	for _, cursor := range []string{"", "a"} {
		if !ok {
			break
		}
		changes, err := feed.Changes(t.Context(), cursor, &backend.ChangesOptions{})
		require.NoError(t, err)
		require.Equal(t, backend.Changes{Lost: true}, changes)
	}
}

func checkEveryWrite(f *follower, h ObjectsHarness) {
	info := backend.Info{}
	steps := []struct {
		name, key string
		write     func() error
	}{
		{"put", "runs/a.json", func() error { f.put("runs/a.json", "1"); return nil }},
		{"create", "é/%/New\n", func() (err error) {
			info, err = f.putIf("é/%/New\n", "1", backend.PutOptions{IfNoneMatch: true})
			return err
		}},
		{"replace", "é/%/New\n", func() error {
			_, err := f.putIf("é/%/New\n", "2", backend.PutOptions{IfMatch: info.ETag})
			return err
		}},
		{"overwrite", "runs/a.json", func() error { f.put("runs/a.json", "1"); return nil }},
		{"create by append", "log", func() error { f.append("log", 0, "one"); return nil }},
		{"append", "log", func() error { f.append("log", 3, "two"); return nil }},
		{"delete", "runs/a.json", func() error { f.delete("runs/a.json"); return nil }},
		{"delete what was appended", "log", func() error { f.delete("log"); return nil }},
		{"long key", strings.Repeat("k", maxKeyLen(h)), func() error { f.put(strings.Repeat("k", maxKeyLen(h)), ""); return nil }},
	}
	first := f.cursor
	for _, step := range steps {
		require.NoError(f, step.write(), step.name)
		require.Contains(f, f.next(), step.key, step.name)
	}
	all, _ := f.since(first, "")
	for _, step := range steps {
		require.Contains(f, all, step.key, "the first cursor, after all")
	}
}

func maxKeyLen(h ObjectsHarness) int {
	if h.Features.MaxKeyLen > 0 {
		return h.Features.MaxKeyLen
	}
	return backend.MaxKeyLen
}

func checkChangedKeys(f *follower, _ ObjectsHarness) {
	for _, key := range []string{"b", "a/b", "a", "b", "A", "a.b", "a/b", "ab"} {
		f.put(key, "x")
	}
	for prefix, want := range map[string][]string{
		"": {"A", "a", "a.b", "a/b", "ab", "b"}, "a": {"a", "a.b", "a/b", "ab"}, "a/": {"a/b"}, "a/b": {"a/b"}, "none": {},
	} {
		keys, _ := f.since(f.cursor, prefix)
		require.Equal(f, want, append([]string{}, keys...), "prefix %q", prefix)
	}
	keys, cursor := f.since(f.cursor, "none")
	require.Empty(f, keys)
	f.put("none/a", "x")
	keys, _ = f.since(cursor, "none")
	require.Equal(f, []string{"none/a"}, keys, "a cursor of a prefix goes on")
}

// checkSilence looks that a store in which nobody writes soon names nothing:
// else following it would cost as much as listing it.
func checkSilence(f *follower, _ ObjectsHarness) {
	for i := range 20 {
		f.put(fmt.Sprint("a/", i), "x")
	}
	f.next()
	for range 5 {
		if len(f.next()) == 0 {
			return
		}
	}
	f.Errorf("a quiet store names keys in every call")
}

func checkCursors(f *follower, _ ObjectsHarness) {
	first := f.cursor
	f.put("a", "1")
	require.Contains(f, f.next(), "a")
	f.put("b", "1")
	require.Contains(f, f.next(), "b")
	keys, _ := f.since(first, "")
	require.Subset(f, keys, []string{"a", "b"}, "a cursor is good more than once")
	changed := func(i int) string {
		return first[:i] + string(first[i]^1) + first[i+1:]
	}
	for _, cursor := range []string{"-", "0", "unknown", first + "x", first[1:], strings.Repeat("x", 1000), "\x00", changed(0), changed(len(first) / 3)} {
		changes, err := f.feed.Changes(f.Context(), cursor, &backend.ChangesOptions{})
		require.NoError(f, err, "cursor %q", cursor)
		require.True(f, changes.Lost, "cursor %q is not known", cursor)
		require.Empty(f, changes.Keys)
		f.put("c", "1")
		keys, _ := f.since(changes.Cursor, "")
		require.Contains(f, keys, "c", "going on after cursor %q", cursor)
	}
}

func checkFeedCancelled(f *follower, _ ObjectsHarness) {
	ctx, cancel := context.WithCancel(f.Context())
	cancel()
	for _, cursor := range []string{"", f.cursor} {
		_, err := f.feed.Changes(ctx, cursor, &backend.ChangesOptions{})
		require.ErrorIs(f, err, context.Canceled)
	}
}

// checkFeedReopened writes by one opening of the store and follows by another.
func checkFeedReopened(f *follower, h ObjectsHarness) {
	if h.Reopen == nil {
		f.Logf("this store does not outlive its value")
		return
	}
	reopened, err := h.Reopen()
	require.NoError(f, err)
	other := store{f.TB, reopened}
	other.put("a", "1")
	require.Contains(f, f.next(), "a", "written by another opening")
	feed, ok := backend.As[backend.ChangeFeed](reopened)
	require.True(f, ok)
	f.put("b", "1")
	f.feed = feed
	require.Contains(f, f.next(), "b", "the cursor of another opening")
}

// slowContent does something in the middle of the Put that reads it. Stores
// may read from other goroutines, so it must not end the check.
type slowContent struct {
	*strings.Reader
	once      *sync.Once
	meanwhile func()
}

func (c slowContent) ReadAt(p []byte, offset int64) (int, error) {
	c.once.Do(c.meanwhile)
	return c.Reader.ReadAt(p, offset)
}

// checkWriteUnderWay follows the store in the middle of a Put. What is named
// then can't be seen yet, so it must be named again.
func checkWriteUnderWay(f *follower, _ ObjectsHarness) {
	for _, data := range []string{"1", "2"} {
		follow := func() {
			changes, err := f.feed.Changes(f.Context(), f.cursor, &backend.ChangesOptions{})
			noError(f, err)
			f.cursor = changes.Cursor
		}
		_, err := f.Put(f.Context(), "a", slowContent{strings.NewReader(data), &sync.Once{}, follow}, &backend.PutOptions{})
		require.NoError(f, err)
		require.Contains(f, f.next(), "a", "after the write that was under way before")
	}
}
