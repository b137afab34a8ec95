package localfs

import (
	"bytes"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
)

// journalBytes gives the bytes of a journal of these keys.
func journalBytes(keys ...string) []byte {
	now := time.Unix(1_700_000_000, 0)
	data := newHeader([16]byte{1}, now)
	crc := crc32.Checksum(data[:headerSize-crcSize], castagnoli)
	for _, key := range keys {
		data = appendEntry(data, crc, key, now)
		entry, err := lastEntry(data)
		if err != nil {
			panic(err)
		}
		crc = entry.crc
	}
	return data
}

// readJournal reads a file as a journal, from its beginning.
func readJournal(t testing.TB, dir string, data []byte) (*journal, []notice, error) {
	t.Helper()
	path := filepath.Join(dir, "journal")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	j := &journal{f: f}
	if err = j.readHeader(); err != nil {
		return nil, nil, err
	}
	j.changed = time.Time{} // as where it is not known
	list, end, err := j.notices(nil, j.start())
	if err == nil {
		at, err := j.end()
		require.NoError(t, err, "the last entry is whole, as read from the front")
		require.Equal(t, end.place, at)
	}
	return j, list, err
}

// FuzzJournal reads any bytes as a journal: what is read without an error is
// what would be written.
func FuzzJournal(f *testing.F) {
	f.Add([]byte{})
	f.Add(journalBytes())
	f.Add(journalBytes("a", "runs/b/run.json", string(bytes.Repeat([]byte("k"), backend.MaxKeyLen))))
	f.Add(journalBytes("a", "b")[:headerSize+20])
	f.Add(append(journalBytes("a"), 0, 0))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		j, list, err := readJournal(t, dir, data)
		if err != nil {
			require.ErrorIs(t, err, errJournal)
			return
		}
		again := bytes.Clone(data[:headerSize])
		crc := j.crc
		for _, n := range list {
			entry, err := firstEntry(data[n.at.offset:], crc)
			require.NoError(t, err)
			again = appendEntry(again, crc, n.key, entry.time)
			crc = entry.crc
		}
		require.Equal(t, data, again)
	})
}

// FuzzCursor reads any text as a cursor.
func FuzzCursor(f *testing.F) {
	f.Add("")
	f.Add(position{origin{1, 2}, place{1 << 40, 1 << 31}}.String())
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, cursor string) {
		p, err := parsePosition(cursor)
		if err != nil {
			require.ErrorIs(t, err, errUnknown)
			return
		}
		require.Equal(t, cursor, p.String())
	})
}

// TestEveryCut reads a journal that ends anywhere: only whole entries pass.
func TestEveryCut(t *testing.T) {
	t.Parallel()
	keys := []string{"a", "é/b", "runs/c/run.json"}
	data, dir := journalBytes(keys...), t.TempDir()
	whole := map[int]int{headerSize: 0}
	for i := range keys {
		whole[len(journalBytes(keys[:i+1]...))] = i + 1
	}
	for n := range len(data) + 1 {
		_, list, err := readJournal(t, dir, data[:n])
		if want, ok := whole[n]; ok {
			require.NoError(t, err)
			require.Len(t, list, want)
			continue
		}
		require.ErrorIs(t, err, errJournal, "%d bytes", n)
	}
}

// TestEveryByte changes each byte of a journal in turn: none passes.
func TestEveryByte(t *testing.T) {
	t.Parallel()
	data, dir := journalBytes("a", "b/c", "a"), t.TempDir()
	for i := range data {
		damaged := bytes.Clone(data)
		damaged[i] ^= 0x10
		_, _, err := readJournal(t, dir, damaged)
		require.ErrorIs(t, err, errJournal, "byte %d", i)
	}
}
