package metrics

import (
	"encoding/binary"
	"hash/crc32"
)

func crcOf(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

func crcFrom(crc uint32, b []byte) uint32 { return crc32.Update(crc, castagnoli, b) }

func putUint32(b []byte, v uint32) { binary.LittleEndian.PutUint32(b, v) }

// recordSize gives the body length of a record, 0 when there is none, and its
// whole size.
func recordSize(b []byte) (body, total int) {
	length, n := binary.Uvarint(b[4:])
	if n <= 0 || length > 1<<20 {
		return 0, 0
	}
	return int(length), 4 + n + int(length)
}
