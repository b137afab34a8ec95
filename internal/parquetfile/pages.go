package parquetfile

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync/atomic"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/azml-go/azml"
)

const (
	// maxHeld bounds the pages of a file that are in memory at once, unpacked, with
	// the numbers that go with their values.
	maxHeld = 1 << 30
	// valueBytes is how much goes with a value: levels, and a place in a dictionary
	// or in a page of texts.
	valueBytes = 8
)

// budget counts what is held of all columns of a file.
type budget struct{ held atomic.Int64 }

func (b *budget) hold(n int64) error {
	if b.held.Add(n) > maxHeld {
		return fmt.Errorf("%w: its pages unpack to more than %d MiB at once: write it with smaller pages, or read fewer columns", azml.ErrInvalid, maxHeld>>20)
	}
	return nil
}

// chunkReader gives the pages of a column chunk to the decoder, which takes for
// granted what their headers say. Here they are looked at first and unpacked to
// exactly the size they name, so that no page makes more of itself than the
// budget allows. It goes forward only.
type chunkReader struct {
	*scratch
	left   int64 // packed bytes that may follow
	unpack unpacker
	leaf   leafShape
	budget *budget

	at     int64  // the offset at which the decoder reads next
	head   []byte // of the page's header, what was not read
	rest   []byte // of the page
	packed []byte // the page as it was read
	held   int64  // of the page
	words  int64  // held of the dictionary
}

// scratch is the memory that reading the chunks of a leaf takes, one after the other.
type scratch struct {
	src   *bufio.Reader
	large []byte // a packed page that src has no room for
	page  []byte // one that is unpacked
	bits  []byte // one of booleans
}

func newScratch() *scratch { return &scratch{src: bufio.NewReaderSize(nil, readAhead)} }

// leafShape is what pages of a leaf are made of: its type and its greatest levels.
type leafShape struct {
	kind                   parquet.Kind
	repetition, definition int
}

// newChunkReader reads the chunk with this metadata.
func newChunkReader(r io.ReaderAt, size int64, meta *format.ColumnMetaData, leaf leafShape, unpack unpacker, b *budget, room *scratch) *chunkReader {
	begin := meta.DataPageOffset
	if meta.DictionaryPageOffset != 0 {
		begin = meta.DictionaryPageOffset
	}
	length := max(0, min(meta.TotalCompressedSize, size-begin))
	room.src.Reset(io.NewSectionReader(r, begin, length))
	return &chunkReader{scratch: room, left: length, unpack: unpack, leaf: leaf, budget: b, at: begin}
}

// close gives back what is held.
func (c *chunkReader) close() {
	_ = c.budget.hold(-c.held - c.words) // less is always allowed
	c.held, c.words = 0, 0
}

// ReadAt gives what follows, up to the end of a page: less than was asked for is
// no error, for its caller is a section that is read from its beginning.
func (c *chunkReader) ReadAt(p []byte, offset int64) (int, error) {
	if offset != c.at {
		return 0, errors.New("its pages are in no order to be read in")
	}
	if len(c.head)+len(c.rest) == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	part := &c.head // alone, so that the page goes where it belongs in one piece
	if len(c.head) == 0 {
		part = &c.rest
	}
	n := copy(p, *part)
	*part = (*part)[n:]
	c.at += int64(n)
	return n, nil
}

// next unpacks the next page. Errors: io.EOF behind the last.
func (c *chunkReader) next() error {
	h, err := c.header()
	if err != nil {
		return err
	}
	values := valuesOf(h)
	if h.CompressedPageSize < 0 || h.UncompressedPageSize < 0 || values < 0 || int64(h.CompressedPageSize) > c.left {
		return errors.New("a page says that it has a size that it can't have")
	}
	if err := c.account(h, values); err != nil {
		return err
	}
	if err := c.read(int(h.CompressedPageSize)); err != nil {
		return fmt.Errorf("a page is cut off: %w", err)
	}
	if h.CRC != 0 && crc32.ChecksumIEEE(c.packed) != uint32(h.CRC) { //nolint:gosec // the same bits
		return errors.New("a page's checksum is wrong")
	}
	body, err := c.body(h)
	if err != nil {
		return err
	}
	if body, err = c.checked(h, body); err != nil {
		return err
	}
	return c.offer(h, body)
}

// read reads a packed page: where it lies in the buffer, or into one of its own.
func (c *chunkReader) read(n int) (err error) {
	c.left -= int64(n)
	if n <= c.src.Size() {
		if c.packed, err = c.src.Peek(n); err == nil {
			_, err = c.src.Discard(n) // it stays there until more is read
		}
		return err
	}
	c.large = sized(c.large, n)
	c.packed = c.large
	_, err = io.ReadFull(c.src, c.packed)
	return err
}

// account adds the page to what is held, in place of the one before it. A
// dictionary stays as long as the chunk is read.
func (c *chunkReader) account(h *format.PageHeader, values int32) error {
	more := int64(h.UncompressedPageSize) + valueBytes*int64(values)
	before := &c.held
	if h.Type == format.DictionaryPage {
		before = &c.words
	}
	change := more - *before
	*before = more
	return c.budget.hold(change)
}

// header reads a page's header.
func (c *chunkReader) header() (*format.PageHeader, error) {
	for want := 256; ; want = min(2*want, readAhead) {
		b, err := c.src.Peek(want)
		if len(b) == 0 && errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		n, bad := structLength(b)
		if errors.Is(bad, errShort) && err == nil && want < readAhead {
			continue
		}
		if bad != nil {
			return nil, fmt.Errorf("a page's header is damaged: %w", bad)
		}
		h := new(format.PageHeader)
		if err := thrift.Unmarshal(&thrift.CompactProtocol{}, b[:n], h); err != nil {
			return nil, err
		}
		c.left -= int64(n)
		_, err = c.src.Discard(n)
		return h, err
	}
}

func valuesOf(h *format.PageHeader) int32 {
	switch h.Type {
	case format.DataPage:
		return h.DataPageHeader.V.NumValues
	case format.DataPageV2:
		return h.DataPageHeaderV2.V.NumValues
	case format.DictionaryPage:
		return h.DictionaryPageHeader.V.NumValues
	}
	return 0
}

// body unpacks the page that was read. The levels of a page of version 2 are not
// packed.
func (c *chunkReader) body(h *format.PageHeader) ([]byte, error) {
	plain := 0
	if h.Type == format.DataPageV2 {
		v := &h.DataPageHeaderV2.V
		plain = int(v.RepetitionLevelsByteLength) + int(v.DefinitionLevelsByteLength)
		if v.RepetitionLevelsByteLength < 0 || v.DefinitionLevelsByteLength < 0 || plain > len(c.packed) || plain > int(h.UncompressedPageSize) {
			return nil, errors.New("a page's levels are longer than the page")
		}
		if v.IsCompressed.Valid && !v.IsCompressed.V {
			plain = len(c.packed)
		}
	}
	if c.unpack == nil || plain == len(c.packed) {
		if len(c.packed) != int(h.UncompressedPageSize) {
			return nil, fmt.Errorf("a page has %d bytes instead of %d", len(c.packed), h.UncompressedPageSize)
		}
		return c.packed, nil
	}
	c.page = sized(c.page, int(h.UncompressedPageSize))
	copy(c.page, c.packed[:plain])
	if err := c.unpack(c.page[plain:], c.packed[plain:]); err != nil {
		return nil, fmt.Errorf("a page can't be unpacked: %w", err)
	}
	return c.page, nil
}

// offer makes the page ready to be read by the decoder, as one that isn't packed.
func (c *chunkReader) offer(h *format.PageHeader, body []byte) error {
	h.CRC, h.CompressedPageSize, h.UncompressedPageSize = 0, int32(len(body)), int32(len(body)) //nolint:gosec // it was an int32
	h.DataPageHeader.V.Statistics, h.DataPageHeaderV2.V.Statistics = format.Statistics{}, format.Statistics{}
	if h.Type == format.DataPageV2 {
		h.DataPageHeaderV2.V.IsCompressed = thrift.New(false)
	}
	c.rest = body
	var err error
	c.head, err = thrift.Marshal(&thrift.CompactProtocol{}, h)
	return err
}

// chunkPages are the pages that the decoder makes of a chunk.
type chunkPages struct {
	*parquet.FilePages
	source *chunkReader
}

// Close ends the reading.
func (p chunkPages) Close() error {
	p.source.close()
	return p.FilePages.Close()
}

// pages reads the chunk of a leaf in a row group.
func (f *opened) pages(group, leaf int, room *scratch) (parquet.Pages, error) {
	chunk, ok := f.RowGroups()[group].ColumnChunks()[leaf].(*parquet.FileColumnChunk)
	if !ok || leaf >= len(f.said.RowGroups[group].Columns) {
		return nil, errors.New("it has no such column")
	}
	meta := &f.said.RowGroups[group].Columns[leaf].MetaData
	unpack, err := f.unpackers.of(meta.Codec)
	if err != nil {
		return nil, err
	}
	source := newChunkReader(f.stream, f.size, meta, f.shapes[leaf], unpack, &f.budget, room)
	return chunkPages{chunk.PagesFrom(source), source}, nil
}

// sized gives a slice of the length, the same one when it has room.
func sized(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}
