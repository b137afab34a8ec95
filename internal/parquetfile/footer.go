package parquetfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/azml-go/azml"
)

const (
	footerTail = 8 // the footer's length and the magic bytes
	// headBuffer is what the decoder reads headers of pages with; what it has of
	// chunkReader is in memory.
	headBuffer = 4 << 10
	// maxFooter bounds the footer, which is read whole.
	maxFooter = 256 << 20
)

// openFile opens a file for the decoder. What the decoder would trust is looked at
// before: the footer here, pages by chunkReader, which also unpacks them, so the
// decoder is told that they are not packed. The footer's own words are given, too.
func openFile(r io.ReaderAt, size int64) (*parquet.File, *format.FileMetaData, error) {
	footer, err := readFooter(r, size)
	if err != nil {
		return nil, nil, err
	}
	var said, told format.FileMetaData
	for _, meta := range []*format.FileMetaData{&said, &told} {
		if err := thrift.Unmarshal(&thrift.CompactProtocol{}, footer, meta); err != nil {
			return nil, nil, err
		}
	}
	for i := range told.RowGroups {
		for j := range told.RowGroups[i].Columns {
			chunk := &told.RowGroups[i].Columns[j].MetaData
			chunk.Codec, chunk.TotalCompressedSize = format.Uncompressed, math.MaxInt32<<16 // chunkReader knows the end
		}
	}
	footer, err = thrift.Marshal(&thrift.CompactProtocol{}, &told)
	if err != nil {
		return nil, nil, err
	}
	footer = binary.LittleEndian.AppendUint32(footer, uint32(len(footer))) //nolint:gosec // about as long as it was
	footer = append(footer, "PAR1"...)
	file, err := parquet.OpenFile(bytes.NewReader(footer), int64(len(footer)), parquet.SkipMagicBytes(true), parquet.SkipBloomFilters(true), parquet.SkipPageIndex(true),
		parquet.ReadBufferSize(headBuffer))
	return file, &said, err
}

// readFooter reads the footer and looks that all that it says is there.
func readFooter(r io.ReaderAt, size int64) ([]byte, error) {
	var tail [footerTail]byte
	if size < footerTail+4 {
		return nil, errors.New("it is too short")
	}
	if _, err := r.ReadAt(tail[:], size-footerTail); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if string(tail[4:]) == "PARE" {
		return nil, fmt.Errorf("%w: it is encrypted", azml.ErrUnsupported)
	}
	length := int64(binary.LittleEndian.Uint32(tail[:]))
	if string(tail[4:]) != "PAR1" || length > size-footerTail-4 {
		return nil, errors.New("it has no footer")
	}
	if length > maxFooter {
		return nil, fmt.Errorf("its footer has %d bytes, more than %d", length, maxFooter)
	}
	footer := make([]byte, length)
	if _, err := r.ReadAt(footer, size-footerTail-length); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	n, err := structLength(footer)
	if err != nil {
		return nil, fmt.Errorf("its footer is damaged: %w", err)
	}
	return footer[:n], nil
}
