package localfs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
)

// BenchmarkFloor is the least that a durable new file costs: write, sync,
// rename, sync of the folder.
func BenchmarkFloor(b *testing.B) {
	dir := b.TempDir()
	folder, err := os.Open(dir)
	require.NoError(b, err)
	defer folder.Close()
	for i := 0; b.Loop(); i++ {
		f, err := os.Create(filepath.Join(dir, "tmp"))
		require.NoError(b, err)
		_, err = f.WriteString(record)
		require.NoError(b, err)
		require.NoError(b, f.Sync())
		require.NoError(b, f.Close())
		require.NoError(b, os.Rename(f.Name(), filepath.Join(dir, fmt.Sprint(i))))
		require.NoError(b, folder.Sync())
	}
}

// BenchmarkFloorAppend is the least that a durable append costs.
func BenchmarkFloorAppend(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	require.NoError(b, err)
	defer f.Close()
	for b.Loop() {
		_, err = f.WriteString(record)
		require.NoError(b, err)
		require.NoError(b, f.Sync())
	}
}

var record = strings.Repeat("x", 1000)

func BenchmarkCreate(b *testing.B) {
	s := open(b, b.TempDir())
	for i := 0; b.Loop(); i++ {
		_, err := s.Put(b.Context(), fmt.Sprintf("runs/%d.json", i), strings.NewReader(record), &backend.PutOptions{IfNoneMatch: true})
		require.NoError(b, err)
	}
}

func BenchmarkUpdate(b *testing.B) {
	s := open(b, b.TempDir())
	info, err := s.Put(b.Context(), "runs/a.json", strings.NewReader(record), &backend.PutOptions{})
	require.NoError(b, err)
	for b.Loop() {
		info, err = s.Put(b.Context(), "runs/a.json", strings.NewReader(record), &backend.PutOptions{IfMatch: info.ETag})
		require.NoError(b, err)
	}
}

func BenchmarkAppend(b *testing.B) {
	s := open(b, b.TempDir())
	offset := int64(0)
	for b.Loop() {
		info, err := s.Append(b.Context(), "log", offset, []byte(record))
		require.NoError(b, err)
		offset = info.Size
	}
}

func BenchmarkStat(b *testing.B) {
	s := open(b, b.TempDir())
	require.NoError(b, put(b.Context(), s, "runs/a/run.json", record))
	for b.Loop() {
		_, err := s.Stat(b.Context(), "runs/a/run.json")
		require.NoError(b, err)
	}
}

// BenchmarkListFolders lists 10,000 run folders with a delimiter.
func BenchmarkListFolders(b *testing.B) {
	dir := b.TempDir()
	for i := range 10_000 {
		path := filepath.Join(dir, "runs", fmt.Sprintf("run_%05d", i))
		require.NoError(b, os.MkdirAll(path, 0o700))
		require.NoError(b, os.WriteFile(filepath.Join(path, "run.json"), nil, 0o600))
	}
	s := open(b, dir)
	for b.Loop() {
		n := 0
		for _, err := range s.List(b.Context(), &backend.ListOptions{Prefix: "runs/", Delimiter: "/"}) {
			require.NoError(b, err)
			n++
		}
		require.Equal(b, 10_000, n)
	}
}

// BenchmarkAnnounce is what the journal of changes adds to each write, the
// lock of the key's shard among it, which only creating would not take.
func BenchmarkAnnounce(b *testing.B) {
	s := open(b, b.TempDir())
	for b.Loop() {
		end, err := s.Begin(b.Context(), "runs/a/run.json")
		require.NoError(b, err)
		end()
	}
}

// BenchmarkChanges is following a store in which nothing, or 100 objects, changed.
func BenchmarkChanges(b *testing.B) {
	for _, n := range []int{0, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := open(b, b.TempDir())
			lost, err := s.Changes(b.Context(), "", &backend.ChangesOptions{})
			require.NoError(b, err)
			for i := range n {
				end, err := s.Begin(b.Context(), fmt.Sprintf("runs/%d/run.json", i))
				require.NoError(b, err)
				end()
			}
			for b.Loop() {
				changes, err := s.Changes(b.Context(), lost.Cursor, &backend.ChangesOptions{})
				require.NoError(b, err)
				require.Len(b, changes.Keys, n)
			}
		})
	}
}
