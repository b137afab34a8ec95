package tfevents

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/azml-go/azml"
)

// A record is: length u64 · masked CRC-32C of the length u32 · data · masked
// CRC-32C of the data u32, all little-endian.
const (
	headerSize = 12
	footerSize = 4
)

// maxRecord is the longest record that is read; protocol buffers end at 2 GiB.
const maxRecord = 1 << 30

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the checksum as the format stores it, rotated and moved, so that
// checksums of data that holds checksums stay good.
func masked(data []byte) uint32 {
	const delta = 0xa282ead8
	sum := crc32.Checksum(data, castagnoli)
	return (sum>>15 | sum<<17) + delta
}

// AppendRecord appends a record that holds data.
func AppendRecord(to, data []byte) []byte {
	at := len(to)
	to = binary.LittleEndian.AppendUint64(to, uint64(len(data)))
	to = binary.LittleEndian.AppendUint32(to, masked(to[at:at+8]))
	to = append(to, data...)
	return binary.LittleEndian.AppendUint32(to, masked(data))
}

// Reader reads the records of one file. It is not safe for concurrent use.
type Reader struct {
	r      *bufio.Reader
	offset int64 // of the next record
	buf    bytes.Buffer
	stuck  error // what keeps the rest from being read
}

// NewReader reads records from r.
func NewReader(r io.Reader) *Reader {
	const size = 1 << 16
	return &Reader{r: bufio.NewReaderSize(r, size)}
}

// Offset gives the place of the record that Next reads next; after an error,
// where the record begins that could not be read, unless the error was damage
// that is passed over.
func (r *Reader) Offset() int64 { return r.offset }

// Next gives the data of the next record, good until the next call. It takes
// memory for what is there, not for what a header claims. Errors: io.EOF at the
// end; io.ErrUnexpectedEOF when the last record is cut off, as it is while its
// writer is at it; ErrDamaged, with the offset, for a record that fails its
// checksum. When it is the data that fails, the next call goes on behind it;
// when it is the header, nobody knows where the next record begins, and all
// further calls give the same error.
func (r *Reader) Next() ([]byte, error) {
	if r.stuck != nil {
		return nil, r.stuck
	}
	var header [headerSize]byte
	switch n, err := io.ReadFull(r.r, header[:]); {
	case n == 0 && errors.Is(err, io.EOF):
		return nil, io.EOF
	case err != nil:
		return nil, r.stop(err)
	}
	length := binary.LittleEndian.Uint64(header[:])
	if binary.LittleEndian.Uint32(header[8:]) != masked(header[:8]) {
		return nil, r.stop(fmt.Errorf("%w: the record at offset %d has a header that fails its checksum", azml.ErrDamaged, r.offset))
	}
	if length > maxRecord {
		return nil, r.stop(fmt.Errorf("%w: the record at offset %d claims %d bytes, more than an event can have", azml.ErrDamaged, r.offset, length))
	}
	r.buf.Reset()
	if _, err := io.CopyN(&r.buf, r.r, int64(length)+footerSize); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, r.stop(err)
	}
	data := r.buf.Bytes()[:length]
	at := r.offset
	r.offset += headerSize + int64(length) + footerSize
	if binary.LittleEndian.Uint32(r.buf.Bytes()[length:]) != masked(data) {
		return nil, fmt.Errorf("%w: the record at offset %d fails its checksum", azml.ErrDamaged, at)
	}
	return data, nil
}

func (r *Reader) stop(err error) error {
	r.stuck = err
	return err
}
