package localfs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/internal/testenv"
)

func changes(t testing.TB, s *localfs.Store, cursor string) backend.Changes {
	t.Helper()
	got, err := s.Changes(t.Context(), cursor, &backend.ChangesOptions{})
	require.NoError(t, err)
	return got
}

// follow gives a cursor to begin with.
func follow(t testing.TB, s *localfs.Store) string {
	t.Helper()
	got := changes(t, s, "")
	require.True(t, got.Lost)
	require.NotEmpty(t, got.Cursor)
	return got.Cursor
}

// requireHealed looks that the feed of a store works again.
func requireHealed(t testing.TB, s *localfs.Store) {
	t.Helper()
	cursor := follow(t, s)
	require.NoError(t, put(t.Context(), s, "healed", "1"))
	got := changes(t, s, cursor)
	require.False(t, got.Lost)
	require.Equal(t, []string{"healed"}, got.Keys)
	require.Empty(t, changes(t, s, got.Cursor).Keys)
}

// TestObjectsWithFullJournals runs the suite with a journal whose files are
// full after a few dozen changes.
func TestObjectsWithFullJournals(t *testing.T) {
	t.Parallel()
	backendtest.Objects(t, func(t *testing.T) backendtest.ObjectsHarness {
		h, dir := harness(t), t.TempDir()
		opened := func() *localfs.Store {
			s := open(t, dir)
			s.FillJournalAt(1500)
			return s
		}
		h.Objects = opened()
		h.Reopen = func() (backend.Objects, error) { return opened(), nil }
		return h
	})
}

func TestWriteUnderWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writer, reader := open(t, dir), open(t, dir)
	cursor := follow(t, reader)
	end, err := writer.Begin(t.Context(), "slow")
	require.NoError(t, err)
	for i := range 3 {
		require.NoError(t, put(t.Context(), reader, fmt.Sprint("fast", i), "1"))
		got := changes(t, reader, cursor)
		require.Contains(t, got.Keys, "slow")
		require.Contains(t, got.Keys, fmt.Sprint("fast", i))
		cursor = got.Cursor
	}
	lost := changes(t, reader, "")
	require.Equal(t, backend.Changes{Lost: true}, lost, "nothing can be said about a write that does not end")
	end()
	got := changes(t, reader, cursor)
	require.Contains(t, got.Keys, "slow", "it may have changed since it was named")
	require.Empty(t, changes(t, reader, got.Cursor).Keys)
}

func TestOldCursorsAreLost(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	s.FillJournalAt(500)
	first := follow(t, s)
	cursor, lost := first, 0
	for i := range 100 {
		key := fmt.Sprint("runs/", i)
		require.NoError(t, put(t.Context(), s, key, "1"))
		got := changes(t, s, cursor)
		require.False(t, got.Lost, "write %d", i)
		require.Equal(t, []string{key}, got.Keys)
		cursor = got.Cursor
		if got = changes(t, s, first); got.Lost {
			lost++
			continue
		}
		require.Zero(t, lost, "a lost cursor came back")
		require.Len(t, got.Keys, i+1)
	}
	require.Greater(t, lost, 50)
	files, err := os.ReadDir(journalOf(s, ""))
	require.NoError(t, err)
	require.Len(t, files, 2, "older files are removed")
}

func journalOf(s *localfs.Store, name string) string {
	return filepath.Join(s.Dir(), ".localfs", "journal", name)
}

// TestCopiesAndRestores gives cursors of a folder to copies of it, whose
// journal need not be as old as their objects.
func TestCopiesAndRestores(t *testing.T) {
	t.Parallel()
	dir, backup := filepath.Join(t.TempDir(), "store"), filepath.Join(t.TempDir(), "backup")
	s := open(t, dir)
	require.NoError(t, put(t.Context(), s, "a", "1"))
	cursor := follow(t, s)
	require.NoError(t, os.CopyFS(backup, os.DirFS(dir)))
	require.True(t, changes(t, open(t, backup), cursor).Lost, "in the copy")
	require.False(t, changes(t, s, cursor).Lost)

	moved := dir + "-moved"
	require.NoError(t, os.Rename(dir, moved))
	require.False(t, changes(t, open(t, moved), cursor).Lost, "a folder that was moved is the same")
	require.NoError(t, os.RemoveAll(moved))
	require.NoError(t, os.CopyFS(dir, os.DirFS(backup)))
	restored := open(t, dir)
	require.True(t, changes(t, restored, cursor).Lost, "in the restored folder")
	requireHealed(t, restored)
}

// TestJournalRestoredInPlace writes an older state of the journal's bytes into
// the same file. When it has grown again, by changes of the same keys, a
// cursor from between must not seem to be of these.
func TestJournalRestoredInPlace(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	follow(t, s)
	old, err := os.ReadFile(journalOf(s, "current"))
	require.NoError(t, err)
	cursor := follow(t, s)
	for range 5 {
		require.NoError(t, put(t.Context(), s, "a", "1"))
		cursor = changes(t, s, cursor).Cursor
	}
	require.NoError(t, os.WriteFile(journalOf(s, "current"), old, 0o600))
	require.True(t, changes(t, s, cursor).Lost, "beyond the end")
	for i := range 8 {
		require.NoError(t, put(t.Context(), s, "a", "1"))
		require.True(t, changes(t, s, cursor).Lost, "after write %d", i)
	}
	requireHealed(t, s)
}

func TestDamagedJournal(t *testing.T) {
	t.Parallel()
	edit := func(change func([]byte) []byte) func(t *testing.T, s *localfs.Store) {
		return func(t *testing.T, s *localfs.Store) {
			data, err := os.ReadFile(journalOf(s, "current"))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(journalOf(s, "current"), change(data), 0o600))
		}
	}
	flip := func(fromEnd int) func(t *testing.T, s *localfs.Store) {
		return edit(func(data []byte) []byte { data[len(data)-fromEnd] ^= 1; return data })
	}
	remove := func(name string) func(t *testing.T, s *localfs.Store) {
		return func(t *testing.T, s *localfs.Store) { require.NoError(t, os.RemoveAll(journalOf(s, name))) }
	}
	for name, damage := range map[string]func(t *testing.T, s *localfs.Store){
		"nothing":            func(*testing.T, *localfs.Store) {},
		"torn by a byte":     edit(func(data []byte) []byte { return data[:len(data)-1] }),
		"torn by ten bytes":  edit(func(data []byte) []byte { return data[:len(data)-10] }),
		"a byte more":        edit(func(data []byte) []byte { return append(data, 'x') }),
		"zeros at the end":   edit(func(data []byte) []byte { return append(data, make([]byte, 5000)...) }),
		"cut to its header":  edit(func(data []byte) []byte { return data[:52] }),
		"cut in its header":  edit(func(data []byte) []byte { return data[:30] }),
		"empty":              edit(func([]byte) []byte { return nil }),
		"other header":       edit(func(data []byte) []byte { data[10] ^= 1; return data }),
		"all zeros":          edit(func(data []byte) []byte { return make([]byte, len(data)) }),
		"last checksum":      flip(1),
		"last size":          flip(6),
		"last key":           flip(8),
		"a key before":       flip(40),
		"a size before":      flip(17*3 - 1),
		"file removed":       remove("current"),
		"folder removed":     remove(""),
		"folder for a file":  func(t *testing.T, s *localfs.Store) { remove("current")(t, s); mkdir(t, journalOf(s, "current")) },
		"next can't be made": func(t *testing.T, s *localfs.Store) { remove("current")(t, s); mkdir(t, journalOf(s, "next")) },
	} {
		for _, writeFirst := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, write first: %t", name, writeFirst), func(t *testing.T) {
				t.Parallel()
				s := open(t, t.TempDir())
				cursor := follow(t, s)
				for i := range 5 {
					require.NoError(t, put(t.Context(), s, fmt.Sprint(i), "1"))
				}
				if name == "cut to its header" {
					time.Sleep(2100 * time.Millisecond) // what is cut off must be older than the clocks' drift
				}
				damage(t, s)
				if writeFirst {
					require.NoError(t, put(t.Context(), s, "x", "1"))
				}
				got := changes(t, s, cursor)
				if !got.Lost {
					require.Equal(t, "nothing", name)
					require.Subset(t, got.Keys, []string{"0", "1", "2", "3", "4"})
				}
				switch {
				case name == "next can't be made":
					require.Empty(t, got.Cursor)
					require.NoError(t, os.Remove(journalOf(s, "next")))
				case name == "folder for a file" && !writeFirst:
					require.Empty(t, got.Cursor)
					require.NoError(t, put(t.Context(), s, "y", "1"), "a writer removes it")
				}
				requireHealed(t, s)
			})
		}
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(path, 0o700))
}

// TestUnannouncedChange has a journal that can be neither written nor removed:
// then nothing may change.
func TestUnannouncedChange(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	require.NoError(t, put(t.Context(), s, "a", "1"))
	_, err := s.Append(t.Context(), "log", 0, []byte("1"))
	require.NoError(t, err)
	require.NoError(t, os.Remove(journalOf(s, "current")))
	mkdir(t, journalOf(s, "current/full"))
	for name, err := range map[string]error{
		"replace": put(t.Context(), s, "a", "2"),
		"create":  put(t.Context(), s, "new", "2"),
		"append":  func() error { _, err := s.Append(t.Context(), "log", 1, []byte("2")); return err }(),
		"delete":  s.Delete(t.Context(), "a", &backend.DeleteOptions{}),
	} {
		require.ErrorContains(t, err, "journal", name)
	}
	require.Equal(t, "1", read(t, s, "a"))
	require.Equal(t, "1", read(t, s, "log"))
	require.NoError(t, os.RemoveAll(journalOf(s, "")))
	requireHealed(t, s)
}

// TestFullDisk deletes on a disk that has no room for the journal.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := testenv.SmallDisk(t, 1<<20)
	s := open(t, filepath.Join(dir, "store"))
	var keys []string
	for i := range 50 {
		keys = append(keys, strings.Repeat("k", 1000)+fmt.Sprint(i))
		require.NoError(t, put(t.Context(), s, keys[i], ""))
	}
	cursor := follow(t, s)
	filler, err := os.Create(filepath.Join(dir, "filler"))
	require.NoError(t, err)
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
	require.NoError(t, filler.Close())
	for _, key := range keys {
		require.NoError(t, s.Delete(t.Context(), key, &backend.DeleteOptions{}))
	}
	require.True(t, changes(t, s, cursor).Lost)
	require.NoError(t, os.Remove(filler.Name()))
	requireHealed(t, s)
}

// TestJournalLockIsStuck has a process that was stopped in the middle of an
// entry: others go on, without the journal.
func TestJournalLockIsStuck(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	cursor := follow(t, s)
	unlock := s.LockJournal(t)
	begun := time.Now()
	require.NoError(t, put(t.Context(), s, "a", "1"))
	require.Less(t, time.Since(begun), time.Minute)
	got := changes(t, s, cursor)
	require.Equal(t, backend.Changes{Lost: true}, got)
	unlock()
	require.True(t, changes(t, s, cursor).Lost)
	requireHealed(t, s)
}

func TestFeedOfClosedStore(t *testing.T) {
	t.Parallel()
	s, err := localfs.New(t.TempDir(), nil)
	require.NoError(t, err)
	cursor := follow(t, s)
	require.NoError(t, s.Close())
	for _, c := range []string{"", cursor} {
		_, err = s.Changes(t.Context(), c, &backend.ChangesOptions{})
		require.ErrorIs(t, err, os.ErrClosed)
	}
}

// TestFolderWithoutJournal follows a folder whose objects were written without.
func TestFolderWithoutJournal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.x"), []byte("1"), 0o600))
	requireHealed(t, open(t, dir))
}
