package localfs

import (
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
	headerSize   = len(journalMagic) + 16 + 16 + crcSize
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
	crc    uint32   // of the header
	size   int64    // when it was opened
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
	j.size = fi.Size()
	header := make([]byte, headerSize)
	if _, err = j.f.ReadAt(header, 0); errors.Is(err, io.EOF) {
		return errJournal
	}
	if err != nil {
		return err
	}
	rest, sum := header[len(journalMagic):headerSize-crcSize], binary.LittleEndian.Uint32(header[headerSize-crcSize:])
	j.crc = crc32.Checksum(header[:headerSize-crcSize], castagnoli)
	if string(header[:len(journalMagic)]) != journalMagic || j.crc != sum {
		return errJournal
	}
	copy(j.id[:], rest)
	copy(j.before[:], rest[16:])
	return nil
}

// newHeader gives the header of a journal file that follows another one.
func newHeader(before [16]byte) []byte {
	header := append(make([]byte, 0, headerSize), journalMagic...)
	header = header[:len(journalMagic)+16]
	_, _ = rand.Read(header[len(journalMagic):]) // never fails
	header = append(header, before[:]...)
	return binary.LittleEndian.AppendUint32(header, crc32.Checksum(header, castagnoli))
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

// firstEntry gives the key and the checksum of the entry that data begins with.
func firstEntry(data []byte, crc uint32) (key string, sum uint32, ok bool) {
	if len(data) < entryExtra {
		return "", 0, false
	}
	n := int(binary.LittleEndian.Uint16(data))
	if n > backend.MaxKeyLen || len(data) < n+entryExtra {
		return "", 0, false
	}
	end := n + entryExtra - crcSize
	sum = crc32.Update(crc, castagnoli, data[:end])
	if binary.LittleEndian.Uint32(data[end:]) != sum || int(binary.LittleEndian.Uint16(data[end-sizeSize:])) != n {
		return "", 0, false
	}
	return string(data[sizeSize+timeSize : sizeSize+timeSize+n]), sum, true
}

// end is where the next entry begins. It looks that the file ends with a whole
// entry, for the size at an entry's end tells where that begins.
func (j *journal) end() (place, error) {
	if j.size == int64(headerSize) {
		return j.start(), nil
	}
	data := make([]byte, min(j.size, int64(maxEntry+crcSize)))
	if _, err := j.f.ReadAt(data, j.size-int64(len(data))); err != nil {
		return place{}, err
	}
	crc, err := lastChecksum(data)
	return place{j.size, crc}, err
}

// lastChecksum gives the checksum that data ends with, the end of a file that
// has entries.
func lastChecksum(data []byte) (uint32, error) {
	if len(data) < crcSize+entryExtra {
		return 0, errJournal
	}
	start := len(data) - entryExtra - int(binary.LittleEndian.Uint16(data[len(data)-crcSize-sizeSize:]))
	if start < crcSize {
		return 0, errJournal
	}
	_, sum, ok := firstEntry(data[start:], binary.LittleEndian.Uint32(data[start-crcSize:]))
	if !ok {
		return 0, errJournal
	}
	return sum, nil
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
	for data = data[crcSize:]; len(data) > 0; {
		key, crc, ok := firstEntry(data, at.crc)
		if !ok {
			return nil, at, errJournal
		}
		list = append(list, notice{key, at})
		n := len(key) + entryExtra
		at.place = place{at.offset + int64(n), crc}
		data = data[n:]
	}
	return list, at, nil
}
