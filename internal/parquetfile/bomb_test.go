package parquetfile

import (
	"bytes"
	"encoding/binary"
	"math"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/datafile"
	"github.com/azml-go/azml/tabular"
)

// crafted gives a file with one column of one page, as it never was written.
func crafted(t *testing.T, kind format.Type, codec format.CompressionCodec, h format.PageHeader, body []byte) []byte {
	t.Helper()
	h.CompressedPageSize = int32(len(body))
	head, err := thrift.Marshal(&thrift.CompactProtocol{}, &h)
	require.NoError(t, err)
	data := append([]byte("PAR1"), append(head, body...)...)
	meta := &format.FileMetaData{Version: 1, NumRows: 10,
		Schema: []format.SchemaElement{{Name: "root", NumChildren: thrift.New(int32(1))}, {Name: "a", Type: thrift.New(kind), RepetitionType: thrift.New(format.Required)}},
		RowGroups: []format.RowGroup{{NumRows: 10, Columns: []format.ColumnChunk{{MetaData: format.ColumnMetaData{Type: kind, Encoding: []format.Encoding{format.Plain},
			PathInSchema: []string{"a"}, Codec: codec, NumValues: 10, TotalCompressedSize: int64(len(data) - 4), TotalUncompressedSize: int64(len(data) - 4), DataPageOffset: 4}}}}}}
	return withFooter(t, data, meta)
}

func withFooter(t *testing.T, data []byte, meta *format.FileMetaData) []byte {
	t.Helper()
	footer, err := thrift.Marshal(&thrift.CompactProtocol{}, meta)
	require.NoError(t, err)
	data = append(data, footer...)
	data = binary.LittleEndian.AppendUint32(data, uint32(len(footer)))
	return append(data, "PAR1"...)
}

func dataPage(says int32, values int32, e format.Encoding) format.PageHeader {
	return format.PageHeader{Type: format.DataPage, UncompressedPageSize: says,
		DataPageHeader: thrift.New(format.DataPageHeader{NumValues: values, Encoding: e, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE})}
}

// varints gives numbers as encodings have them.
func varints(numbers ...uint64) (out []byte) {
	for _, n := range numbers {
		out = binary.AppendUvarint(out, n)
	}
	return out
}

// TestBombs reads small files that stand for more than memory has room for: each
// is refused, and hardly anything is allocated. It runs alone, for it looks at what
// the process allocates.
func TestBombs(t *testing.T) { //nolint:paralleltest // see above
	zeros := make([]byte, 64<<20)
	enc, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	packed := enc.EncodeAll(zeros, nil)
	require.NoError(t, enc.Close())
	require.Less(t, len(packed), 64<<10)
	zeros = nil
	ints, texts := format.Int64, format.ByteArray
	pages := int32(300)
	huge := []byte("PAR1")
	huge = append(huge, 0x15, 2, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07) // version 1, then a schema of 2³¹-1 elements
	huge = binary.LittleEndian.AppendUint32(huge, 9)
	huge = append(huge, "PAR1"...)
	many := []byte{0x19, 0xfc}
	many = append(many, varints(1_000_000)...)
	many = append(many, make([]byte, 1_000_001)...) // elements without a field
	empty := binary.LittleEndian.AppendUint32(append([]byte("PAR1"), many...), uint32(len(many)))
	empty = append(empty, "PAR1"...)
	deep := append([]byte("PAR1"), bytes.Repeat([]byte{0x1c}, 100_000)...)
	deep = append(binary.LittleEndian.AppendUint32(deep, 100_000), "PAR1"...)
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"more than it says":         {crafted(t, ints, format.Zstd, dataPage(80, 10, format.Plain), packed), "a page can't be unpacked"},
		"as much as it says":        {crafted(t, ints, format.Zstd, dataPage(math.MaxInt32, 10, format.Plain), packed), "its pages unpack to more than 1024 MiB at once"},
		"many values":               {crafted(t, ints, format.Uncompressed, dataPage(pages, math.MaxInt32, format.Plain), make([]byte, pages)), "its pages unpack to more than"},
		"texts":                     {crafted(t, texts, format.Uncompressed, dataPage(pages, math.MaxInt32, format.Plain), make([]byte, pages)), "its pages unpack to more than"},
		"a run":                     {crafted(t, ints, format.Uncompressed, dataPage(6, 10, format.RLEDictionary), append([]byte{0}, varints(math.MaxInt32<<1)...)), "a page has more values than it says"},
		"packed of no bits":         {crafted(t, ints, format.Uncompressed, dataPage(6, 10, format.RLEDictionary), append([]byte{0}, varints(0x7fffffff)...)), "a page has more values than it says"},
		"differences":               {crafted(t, ints, format.Uncompressed, dataPage(9, 10, format.DeltaBinaryPacked), append(varints(128, 4, math.MaxInt32), 0)[:9]), "a page has more values than it says"},
		"a footer of many elements": {huge, "its footer is damaged: it ends too early"},
		"elements of nothing":       {empty, "structs in"},
		"nested without end":        {deep, "structs are nested too deep"},
	} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // see above
			file := datafile.Bytes("x.parquet", tt.data)
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Infer(t.Context(), []datafile.File{file})
			if err == nil {
				schema := tabular.Schema{{Name: "a", Type: tabular.Int}}
				if name == "texts" {
					schema[0].Type = tabular.Bytes
				}
				_, err = read(t, schema, file)
			}
			runtime.ReadMemStats(&after)
			require.ErrorIs(t, err, azml.ErrInvalid)
			require.ErrorContains(t, err, tt.want)
			require.ErrorContains(t, err, "x.parquet")
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(32<<20))
		})
	}
}

// TestOldLZ4 refuses the compression that writers have never agreed on.
func TestOldLZ4(t *testing.T) {
	t.Parallel()
	_, err := Infer(t.Context(), []datafile.File{datafile.Bytes("x", crafted(t, format.Int64, format.Lz4, dataPage(80, 10, format.Plain), make([]byte, 80)))})
	require.ErrorIs(t, err, azml.ErrUnsupported)
	require.ErrorContains(t, err, "write it with zstd or snappy")
}

// FuzzStructLength looks that what is said to be a struct is one that the decoder
// ends at the same place, or refuses.
func FuzzStructLength(f *testing.F) {
	h := dataPage(80, 10, format.Plain)
	head, err := thrift.Marshal(&thrift.CompactProtocol{}, &h)
	require.NoError(f, err)
	f.Add(head)
	f.Add([]byte{0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07})
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := structLength(b)
		if err != nil {
			return
		}
		require.LessOrEqual(t, n, len(b))
		_, short := structLength(b[:n-1])
		require.Error(t, short)
		var page format.PageHeader
		_ = thrift.Unmarshal(&thrift.CompactProtocol{}, b[:n], &page)
	})
}
