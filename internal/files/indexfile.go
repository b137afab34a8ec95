package files

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/azml-go/azml"
)

// The layout of an index object: magic, then for each pack its ID, the number
// of its chunks and their entries as in the pack's directory; at the end the
// CRC-32C of all before it. Numbers are little-endian.
const indexMagic = "azmlidx1"

// encodeIndex gives the bytes of an index object for the packs.
func encodeIndex(packs []*pack) []byte {
	b := []byte(indexMagic)
	for _, p := range packs {
		b = append(b, p.id[:]...)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p.entries)))
		b = appendEntries(b, p.entries)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeIndex is the inverse of encodeIndex. The error wraps ErrDamaged.
func decodeIndex(b []byte) ([]*pack, error) {
	const head = len(packID{}) + 4
	end := len(b) - 4
	if end < len(indexMagic) || string(b[:len(indexMagic)]) != indexMagic {
		return nil, fmt.Errorf("%w: pack index has another beginning", azml.ErrDamaged)
	}
	if crc32.Checksum(b[:end], castagnoli) != binary.LittleEndian.Uint32(b[end:]) {
		return nil, fmt.Errorf("%w: pack index fails its checksum", azml.ErrDamaged)
	}
	var packs []*pack
	for b = b[len(indexMagic):end]; len(b) > 0; {
		if len(b) < head {
			return nil, fmt.Errorf("%w: pack index ends within a pack", azml.ErrDamaged)
		}
		n := uint64(binary.LittleEndian.Uint32(b[head-4:])) * uint64(entrySize)
		if n > uint64(len(b)-head) {
			return nil, fmt.Errorf("%w: pack index ends within a pack", azml.ErrDamaged)
		}
		entries, err := readEntries(b[head:][:n])
		if err != nil {
			return nil, err
		}
		packs = append(packs, &pack{id: packID(b[:head-4]), entries: entries})
		b = b[head+int(n):]
	}
	return packs, nil
}
