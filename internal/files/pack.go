package files

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/azml-go/azml"
)

// The sizes at which a pack is closed: one that goes to another machine, and one
// that stays on this, where a request costs little and memory as much. A pack may
// be greater by less than a chunk and its directory.
const (
	packTarget = 16 << 20
	localPack  = 4 << 20
)

// The layout of a pack: the chunks one behind the other, then its directory
// (for each chunk its digest and its size), then a trailer of 16 bytes: the
// number of chunks, CRC-32C of directory and number, magic. Numbers are
// little-endian.
const (
	packMagic   = "azmlpak1"
	entrySize   = len(digest{}) + 4
	trailerSize = 4 + 4 + len(packMagic)
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// packID names a pack. It is random: a pack that is being deleted is never the
// same as one that is being written.
type packID [16]byte

func newPackID() packID {
	var id packID
	_, _ = rand.Read(id[:]) // never fails
	return id
}

func (id packID) String() string { return hex.EncodeToString(id[:]) }

// key gives the key of the pack's object.
func (id packID) key() string { return packsPrefix + id.String() + packSuffix }

// parsePackKey is the inverse of key.
func parsePackKey(key string) (id packID, ok bool) {
	name, ok := strings.CutSuffix(strings.TrimPrefix(key, packsPrefix), packSuffix)
	if !ok || len(name) != hex.EncodedLen(len(id)) {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(name))
	return id, err == nil && id.String() == name
}

// entry is a chunk in a pack.
type entry struct {
	digest digest
	size   uint32
}

// pack is what is known of one pack: its chunks in their order.
type pack struct {
	id      packID
	entries []entry
}

// size gives the size of the whole object.
func (p *pack) size() int64 {
	return p.content() + int64(len(p.entries)*entrySize+trailerSize)
}

// content gives the bytes of the chunks alone.
func (p *pack) content() int64 {
	var n int64
	for _, e := range p.entries {
		n += int64(e.size)
	}
	return n
}

// packer collects the chunks of one pack.
type packer struct {
	pack
	data []byte
}

// A packer begins small, for most batches are, and borrows room for a whole pack
// when it has grown to growAt, or with the first chunk of a great content.
// packMargin is how much greater that is than the
// size at which a pack is closed.
const (
	growAt     = 1 << 20
	packMargin = maxChunk + 1<<20
)

func (p *packer) add(d digest, chunk []byte, lender *buffers) {
	if n := len(p.data) + len(chunk); (n > growAt || len(chunk) > minChunk) && n > cap(p.data) && n < lender.packRoom {
		p.data = append(lender.getPack(), p.data...)
	}
	p.data = append(p.data, chunk...)
	p.entries = append(p.entries, entry{digest: d, size: uint32(len(chunk))})
}

// finish gives the bytes of the object.
func (p *packer) finish() []byte {
	start := len(p.data)
	p.data = appendEntries(p.data, p.entries)
	p.data = binary.LittleEndian.AppendUint32(p.data, uint32(len(p.entries)))
	p.data = binary.LittleEndian.AppendUint32(p.data, crc32.Checksum(p.data[start:], castagnoli))
	return append(p.data, packMagic...)
}

func appendEntries(b []byte, entries []entry) []byte {
	for _, e := range entries {
		b = append(b, e.digest[:]...)
		b = binary.LittleEndian.AppendUint32(b, e.size)
	}
	return b
}

// readEntries is the inverse of appendEntries. The error wraps ErrDamaged.
func readEntries(b []byte) ([]entry, error) {
	entries := make([]entry, len(b)/entrySize)
	for i := range entries {
		one := b[i*entrySize:]
		copy(entries[i].digest[:], one)
		size := binary.LittleEndian.Uint32(one[len(digest{}):])
		if size == 0 || size > maxChunkStored {
			return nil, fmt.Errorf("%w: chunk %s has %d bytes", azml.ErrDamaged, entries[i].digest, size)
		}
		entries[i].size = size
	}
	return entries, nil
}

// directorySize reads the trailer of a pack and tells how many bytes before
// the end the directory begins.
func directorySize(trailer []byte) (int64, error) {
	if len(trailer) != trailerSize || string(trailer[8:]) != packMagic {
		return 0, fmt.Errorf("%w: pack has no trailer", azml.ErrDamaged)
	}
	return int64(binary.LittleEndian.Uint32(trailer))*int64(entrySize) + int64(trailerSize), nil
}

// parseDirectory reads the directory of a pack, trailer included.
func parseDirectory(id packID, dir []byte) (*pack, error) {
	end := len(dir) - trailerSize
	if end < 0 || end%entrySize != 0 {
		return nil, fmt.Errorf("%w: directory of pack %s is cut off", azml.ErrDamaged, id)
	}
	sum := binary.LittleEndian.Uint32(dir[end+4:])
	if crc32.Checksum(dir[:end+4], castagnoli) != sum {
		return nil, fmt.Errorf("%w: directory of pack %s fails its checksum", azml.ErrDamaged, id)
	}
	entries, err := readEntries(dir[:end])
	if err != nil {
		return nil, fmt.Errorf("directory of pack %s: %w", id, err)
	}
	return &pack{id: id, entries: entries}, nil
}
