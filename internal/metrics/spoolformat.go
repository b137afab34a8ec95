package metrics

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// A spool file is a header and then records, back to back, up to the first
// record of length 0 (the file is made of zeros) or the end of the file. All
// fixed numbers are little endian.
//
//	header: magic "azmlspl1" · writer 16 bytes (hex) · file number u32 ·
//	        salt u64 · first seq u64 · prefix length u16 · prefix · CRC u32
//	record: CRC u32 · body length uvarint · body
//	body:   id uvarint · step varint · time varint · value
//	    or  0 · kind byte · type byte · name            (defines the next id)
//
// The CRC of a record goes on from the CRC of the record before it, the first
// from the header's, which covers a random salt: a record of another file, or
// in another place, can't pass. Step is the difference to the last step of the
// same id, time (nanoseconds since 1970) to the last record's. Ids count from
// 1. Points have no number of their own: the first is the header's first seq.
// Value is 8 bytes for a float, a varint for an int, a byte for a bool,
// nothing for nil, and for the other types the blob up to the body's end.
const (
	spoolMagic      = "azmlspl1"
	spoolHeaderSize = 8 + 16 + 4 + 8 + 8 + 2 + 4 // without the prefix
	writerIDLen     = 16
	maxRecordHead   = 4*binary.MaxVarintLen64 + 8 // what a record takes beside its name or blob, at most
	maxPrefixLen    = 1 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type spoolHeader struct {
	writer string
	number uint32
	salt   uint64
	first  uint64
	prefix string
}

func (h *spoolHeader) size() int { return spoolHeaderSize + len(h.prefix) }

// append writes the header and gives its CRC, from which the records' go on.
func (h *spoolHeader) append(dst []byte) ([]byte, uint32) {
	start := len(dst)
	dst = append(dst, spoolMagic...)
	dst = append(dst, h.writer...)
	dst = binary.LittleEndian.AppendUint32(dst, h.number)
	dst = binary.LittleEndian.AppendUint64(dst, h.salt)
	dst = binary.LittleEndian.AppendUint64(dst, h.first)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(h.prefix)))
	dst = append(dst, h.prefix...)
	crc := crc32.Checksum(dst[start:], castagnoli)
	return binary.LittleEndian.AppendUint32(dst, crc), crc
}

var errNoHeader = errors.New("the header is incomplete or fails its checksum")

func parseSpoolHeader(b []byte) (spoolHeader, uint32, error) {
	p := &parser{b: b}
	magic := string(p.take(uint64(len(spoolMagic))))
	h := spoolHeader{writer: string(p.take(writerIDLen)), number: p.uint32(), salt: p.uint64(), first: p.uint64()}
	n := p.take(2)
	if p.bad || magic != spoolMagic {
		return h, 0, errNoHeader
	}
	h.prefix = string(p.take(uint64(binary.LittleEndian.Uint16(n))))
	covered := len(b) - len(p.b)
	want := p.uint32()
	crc := crc32.Checksum(b[:covered], castagnoli)
	if p.bad || crc != want || h.first == 0 || !validWriterID(h.writer) {
		return h, 0, errNoHeader
	}
	return h, crc, nil
}

func validWriterID(id string) bool {
	if len(id) != writerIDLen {
		return false
	}
	for _, c := range id {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
