package localfs

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"time"

	"github.com/azml-go/azml/backend"
)

// The journal of changes: the file that is appended to, the one before it, and
// the one that is being made.
const (
	journalDir  = ownDir + "/journal"
	currentFile = journalDir + "/current"
	beforeFile  = journalDir + "/before"
	nextFile    = journalDir + "/next"
)

// A journal file is a header and entries, back to back (docs/format.md).
const (
	journalMagic = "azmljnl1"
	headerSize   = len(journalMagic) + timeSize + 16 + 16 + crcSize
	entryExtra   = sizeSize + timeSize + sizeSize + crcSize // what an entry has beside its key
	maxEntry     = entryExtra + backend.MaxKeyLen

	sizeSize = 2
	timeSize = 8
	crcSize  = 4
)

// journalSize is the size at which a journal file is closed: 100,000 changes
// or more.
const journalSize = 8 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errJournal says that bytes of a journal are not what was written there, or
// not yet.
var errJournal = errors.New("the journal of changes is torn or damaged")

// journal is an opened journal file.
type journal struct {
	f      *os.File
	id     [16]byte // random
	before [16]byte // the ID of the file before, zero when there is none
	begun  time.Time
	crc    uint32 // of the header

	// When it was opened:
	size    int64
	changed time.Time // when the file last changed in any way, zero where that is not known
}

// openJournal opens a journal file. Errors: errJournal when it has no header.
func (s *Store) openJournal(name string, flag int) (*journal, error) {
	f, err := s.root.OpenFile(name, flag, 0)
	if err != nil {
		return nil, err
	}
	j := &journal{f: f}
	if err = j.readHeader(); err != nil {
		_ = f.Close()
		return nil, err
	}
	return j, nil
}

func (j *journal) readHeader() error {
	fi, err := j.f.Stat()
	if err != nil {
		return err
	}
	j.size, j.changed = fi.Size(), changeTime(fi)
	header := make([]byte, headerSize)
	if _, err = j.f.ReadAt(header, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return j.parseHeader(header)
}

func (j *journal) parseHeader(header []byte) error {
	end := headerSize - crcSize
	j.crc = crc32.Checksum(header[:end], castagnoli)
	if !bytes.HasPrefix(header, []byte(journalMagic)) || j.crc != binary.LittleEndian.Uint32(header[end:]) {
		return errJournal
	}
	rest := header[len(journalMagic):]
	j.begun = timeOf(rest)
	rest = rest[timeSize:]
	copy(j.id[:], rest)
	copy(j.before[:], rest[len(j.id):])
	return nil
}

// newHeader gives the header of a journal file that follows another one.
func newHeader(before [16]byte, now time.Time) []byte {
	header := append(make([]byte, 0, headerSize), journalMagic...)
	header = binary.LittleEndian.AppendUint64(header, uint64(now.UnixNano()))
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	header = append(append(header, id[:]...), before[:]...)
	return binary.LittleEndian.AppendUint32(header, crc32.Checksum(header, castagnoli))
}

func timeOf(data []byte) time.Time {
	return time.Unix(0, int64(binary.LittleEndian.Uint64(data)))
}

// appendEntry adds an entry. Its checksum goes on from crc, that of what
// stands before it, so that no entry passes in another place; the time makes
// two histories of the same keys differ.
func appendEntry(data []byte, crc uint32, key string, now time.Time) []byte {
	start := len(data)
	data = binary.LittleEndian.AppendUint16(data, uint16(len(key)))
	data = binary.LittleEndian.AppendUint64(data, uint64(now.UnixNano()))
	data = append(data, key...)
	data = binary.LittleEndian.AppendUint16(data, uint16(len(key)))
	return binary.LittleEndian.AppendUint32(data, crc32.Update(crc, castagnoli, data[start:]))
}

// announcement is an entry.
type announcement struct {
	key  string
	time time.Time
	crc  uint32 // the last bytes
}

func (a announcement) size() int { return len(a.key) + entryExtra }

// firstEntry reads the entry that data begins with.
func firstEntry(data []byte, crc uint32) (announcement, error) {
	if len(data) < entryExtra {
		return announcement{}, errJournal
	}
	n := int(binary.LittleEndian.Uint16(data))
	if n > backend.MaxKeyLen || len(data) < n+entryExtra {
		return announcement{}, errJournal
	}
	end := n + entryExtra - crcSize
	crc = crc32.Update(crc, castagnoli, data[:end])
	if binary.LittleEndian.Uint32(data[end:]) != crc || int(binary.LittleEndian.Uint16(data[end-sizeSize:])) != n {
		return announcement{}, errJournal
	}
	return announcement{string(data[sizeSize+timeSize : end-sizeSize]), timeOf(data[sizeSize:]), crc}, nil
}

// lastEntry reads the entry that data ends with, the end of a file that has
// entries. The size at the entry's end tells where it begins.
func lastEntry(data []byte) (announcement, error) {
	if len(data) < crcSize+entryExtra {
		return announcement{}, errJournal
	}
	start := len(data) - entryExtra - int(binary.LittleEndian.Uint16(data[len(data)-crcSize-sizeSize:]))
	if start < crcSize {
		return announcement{}, errJournal
	}
	return firstEntry(data[start:], binary.LittleEndian.Uint32(data[start-crcSize:]))
}

// maxDrift is how far the time in an entry may be from that of its writing, by
// the file system's clock.
const maxDrift = 2 * time.Second

// end is where the next entry begins. It looks that the file ends with a whole
// entry, and that it has not changed since that was written: older bytes that
// were written back into the file, such as from a backup, would hide changes.
func (j *journal) end() (place, error) {
	end, last := j.start(), j.begun
	if j.size > end.offset {
		data := make([]byte, min(j.size, int64(maxEntry+crcSize)))
		if _, err := j.f.ReadAt(data, j.size-int64(len(data))); err != nil {
			return place{}, err
		}
		entry, err := lastEntry(data)
		if err != nil {
			return place{}, err
		}
		end, last = place{j.size, entry.crc}, entry.time
	}
	if !j.changed.IsZero() && j.changed.Sub(last).Abs() > maxDrift {
		return place{}, errJournal
	}
	return end, nil
}

// start is where the first entry begins.
func (j *journal) start() place { return place{int64(headerSize), j.crc} }

// notice is a key in the journal, and where its entry begins.
type notice struct {
	key string
	at  position
}

// notices adds the entries from a place on to the list, and gives the end.
// Errors: errUnknown when this file has no such place, errJournal.
func (j *journal) notices(list []notice, from place) ([]notice, position, error) {
	at := position{originOf(j), from}
	if at.offset < int64(headerSize) || at.offset > j.size {
		return nil, at, errUnknown
	}
	data := make([]byte, j.size-at.offset+crcSize)
	if _, err := j.f.ReadAt(data, at.offset-crcSize); err != nil {
		return nil, at, fmt.Errorf("%w: %w", errJournal, err)
	}
	if binary.LittleEndian.Uint32(data) != at.crc {
		return nil, at, errUnknown
	}
	return parseEntries(list, at, data[crcSize:])
}

// parseEntries adds the entries that begin at a position, which are data, to the
// list, and gives the end.
func parseEntries(list []notice, at position, data []byte) ([]notice, position, error) {
	for len(data) > 0 {
		entry, err := firstEntry(data, at.crc)
		if err != nil {
			return nil, at, err
		}
		list = append(list, notice{entry.key, at})
		at.place = place{at.offset + int64(entry.size()), entry.crc}
		data = data[entry.size():]
	}
	return list, at, nil
}
