package localfs

import (
	"bytes"
	"hash/crc32"
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

// readJournal reads data as a journal, from its beginning.
func readJournal(t testing.TB, data []byte) (list []notice, err error) {
	t.Helper()
	var j journal
	if len(data) < headerSize {
		return nil, errJournal
	}
	if err = j.parseHeader(data[:headerSize]); err != nil {
		return nil, err
	}
	list, end, err := parseEntries(nil, position{place: j.start()}, data[headerSize:])
	if err == nil && len(list) > 0 {
		last, err := lastEntry(data)
		require.NoError(t, err, "what is read from the front is read from the back")
		require.Equal(t, end.crc, last.crc)
		require.EqualValues(t, len(data), end.offset)
	}
	return list, err
}

// FuzzJournal reads any bytes as a journal: what is read without an error is
// what would be written.
func FuzzJournal(f *testing.F) {
	f.Add([]byte{})
	f.Add(journalBytes())
	f.Add(journalBytes("a", "runs/b/run.json", string(bytes.Repeat([]byte("k"), backend.MaxKeyLen))))
	f.Add(journalBytes("a", "b")[:headerSize+20])
	f.Add(append(journalBytes("a"), 0, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := readJournal(t, data)
		_, _ = lastEntry(data)
		if err != nil {
			require.ErrorIs(t, err, errJournal)
			return
		}
		again := bytes.Clone(data[:headerSize])
		for _, n := range list {
			entry, err := firstEntry(data[n.at.offset:], n.at.crc)
			require.NoError(t, err)
			again = appendEntry(again, n.at.crc, n.key, entry.time)
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
	data := journalBytes(keys...)
	whole := map[int]int{headerSize: 0}
	for i := range keys {
		whole[len(journalBytes(keys[:i+1]...))] = i + 1
	}
	for n := range len(data) + 1 {
		list, err := readJournal(t, data[:n])
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
	data := journalBytes("a", "b/c", "a")
	for i := range data {
		damaged := bytes.Clone(data)
		damaged[i] ^= 0x10
		_, err := readJournal(t, damaged)
		require.ErrorIs(t, err, errJournal, "byte %d", i)
	}
}
