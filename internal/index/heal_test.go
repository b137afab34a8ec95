package index

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/testenv"
)

// TestDamage opens, with what was done to the file of a closed index, and wants
// the right answers, and a warning where the file was of no more use.
func TestDamage(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, file string, data []byte){
		"deleted":       func(t *testing.T, file string, _ []byte) { require.NoError(t, os.Remove(file)) },
		"empty":         func(t *testing.T, file string, _ []byte) { write(t, file, nil) },
		"garbage":       func(t *testing.T, file string, data []byte) { write(t, file, garbage(len(data))) },
		"short garbage": func(t *testing.T, file string, _ []byte) { write(t, file, garbage(10)) },
		"truncated":     func(t *testing.T, file string, data []byte) { write(t, file, data[:len(data)/2]) },
		"cut in a page": func(t *testing.T, file string, data []byte) { write(t, file, data[:len(data)-100]) },
		"zeros":         func(t *testing.T, file string, data []byte) { write(t, file, make([]byte, len(data))) },
		"no checksums":  func(t *testing.T, file string, data []byte) { data[20] = 0; write(t, file, data) },
		"other layout": func(t *testing.T, file string, _ []byte) {
			alter(t, file, `UPDATE meta SET value = '0' WHERE name = 'layout'`)
		},
		"other workspace": func(t *testing.T, file string, _ []byte) {
			alter(t, file, `UPDATE meta SET value = 'x' WHERE name = 'workspace'`)
		},
		"no table":    func(t *testing.T, file string, _ []byte) { alter(t, file, `DROP TABLE number`) },
		"bad summary": func(t *testing.T, file string, _ []byte) { alter(t, file, `UPDATE doc SET summaries = x'ffff'`) },
		"a folder": func(t *testing.T, file string, _ []byte) {
			require.NoError(t, os.Remove(file))
			require.NoError(t, os.Mkdir(file, 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			again, file := closedIndex(t)
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			damage(t, file, data)
			s := again()
			require.Equal(t, []string{"r2", "r1"}, s.ids(t, "metrics.m > 0 and tags.a != 'x'", "metrics.m desc"))
			require.Len(t, s.ids(t, ""), 3)
			if name != "deleted" && name != "cut in a page" { // which need not be noticed
				require.Contains(t, s.log.warnings(), "damaged")
			}
			s.close(t)
			s = again() // it stays healed
			require.Len(t, s.ids(t, ""), 3)
			require.Empty(t, s.log.warnings())
		})
	}
}

// closedIndex makes an index of three runs and gives its file. again opens the
// same workspace.
func closedIndex(t *testing.T) (again func() *space, file string) {
	t.Helper()
	objects, cache := memory.NewObjects(), t.TempDir()
	s := open(t, objects, cache)
	for i := range 3 {
		id := fmt.Sprintf("r%d", i)
		s.put(t, id, func(r *record.Run) { r.Tags = map[string]string{"a": id} })
		s.logTo(t, id, map[string][]float64{"m": {float64(i)}})
	}
	require.Len(t, s.ids(t, ""), 3)
	s.close(t)
	files := dbFiles(t, cache)
	require.Len(t, files, 1)
	alter(t, files[0], `SELECT 1 FROM meta`) // which makes a checkpoint
	require.NoFileExists(t, files[0]+"-wal", "all is in the file")
	return func() *space { return open(t, objects, cache) }, files[0]
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(file, data, 0o600))
}

func garbage(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*i*31 + i/7)
	}
	return b
}

func alter(t *testing.T, file, sql string) {
	t.Helper()
	c, err := connect(file)
	require.NoError(t, err)
	require.NoError(t, c.Exec(sql))
	require.NoError(t, c.Close())
}

// TestFlippedBytes flips bytes at random places of the file: every answer is
// right all the same.
func TestFlippedBytes(t *testing.T) {
	t.Parallel()
	g := seeded(t)
	again, file := closedIndex(t)
	sound, err := os.ReadFile(file)
	require.NoError(t, err)
	healed := 0
	for range 40 {
		data := append([]byte(nil), sound...)
		for range 1 + g.IntN(3) {
			data[g.IntN(len(data))] ^= byte(1 + g.IntN(255))
		}
		for _, old := range dbFiles(t, filepath.Dir(filepath.Dir(filepath.Dir(file)))) {
			require.NoError(t, os.Remove(old))
		}
		write(t, file, data)
		s := again()
		require.Equal(t, []string{"r2", "r1"}, s.ids(t, "metrics.m > 0 and tags.a != 'x'", "metrics.m desc"))
		require.Equal(t, []string{"r1"}, s.ids(t, "tags.a = 'r1'"))
		require.Len(t, s.ids(t, "experiment = 'e'"), 3)
		if s.log.warnings() != "" {
			healed++
		}
		s.close(t)
	}
	require.Greater(t, healed, 12, "most pages are read")
}

// TestDeletedWhileOpen takes the folder away from a workspace that is open.
func TestDeletedWhileOpen(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	s := open(t, memory.NewObjects(), cache)
	s.put(t, "r1", nil)
	require.Len(t, s.ids(t, ""), 1)
	require.NoError(t, os.RemoveAll(filepath.Join(cache, "index")))
	s.put(t, "r2", nil)
	require.Len(t, s.ids(t, ""), 2)
	require.Contains(t, s.log.warnings(), "built again")
	require.Len(t, dbFiles(t, cache), 1)
}

// TestStale puts an older file in the place of a newer one.
func TestStale(t *testing.T) {
	t.Parallel()
	again, file := closedIndex(t)
	old, err := os.ReadFile(file)
	require.NoError(t, err)
	s := again()
	s.put(t, "r3", nil)
	require.Len(t, s.ids(t, ""), 4)
	s.close(t)
	write(t, file, old)
	s = again()
	require.Len(t, s.ids(t, ""), 4)
}

// TestNoFolder searches where no file can be made.
func TestNoFolder(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(cache, "index"), nil, 0o600))
	s := open(t, memory.NewObjects(), cache)
	s.put(t, "r1", nil)
	require.Equal(t, []string{"r1"}, s.ids(t, ""))
	s.put(t, "r2", nil)
	require.Len(t, s.ids(t, ""), 2)
	require.Contains(t, s.log.warnings(), "in memory")
}

// TestFullDisk searches where the index has no room: this process builds one in
// memory.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	cache := testenv.SmallDisk(t, 256<<10)
	s := open(t, memory.NewObjects(), cache)
	for i := range 200 {
		s.put(t, fmt.Sprintf("r%d", i), func(r *record.Run) { r.Description = strings.Repeat("long ", 500) })
	}
	require.Len(t, s.ids(t, ""), 200)
	s.put(t, "one-more", nil)
	require.Len(t, s.ids(t, ""), 201)
	require.Contains(t, s.log.warnings(), "in memory")
}

// TestRefreshAll finds out about objects that were removed behind the back
// of the store's feed, by a comparison of everything.
func TestRefreshAll(t *testing.T) {
	t.Parallel()
	dir, cache := t.TempDir(), t.TempDir()
	s := local(t, dir, cache)
	s.put(t, "r1", nil)
	s.put(t, "r2", nil)
	require.Len(t, s.ids(t, ""), 2)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "runs", "r1")))
	x, err := Of(s.Handle)
	require.NoError(t, err)
	require.NoError(t, x.Refresh(t.Context(), true))
	require.Equal(t, []string{"r2"}, s.ids(t, ""))
}
