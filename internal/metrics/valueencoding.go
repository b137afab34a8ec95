package metrics

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
)

// The choice of an encoding looks at so many values, in runs of so many.
const (
	sampleValues = 1 << 15
	sampleRun    = 1 << 10
)

// valueEncoding chooses how a file stores its values. Split bytes suit
// measured numbers, whose exponents and first digits are alike; a dictionary
// suits those that come again, as rounded ones and counts do, and whole values
// those that neither helps. The choice goes by what zstd makes of a sample.
func valueEncoding(t *table) encoding.Encoding {
	var plain, split []byte
	distinct := map[uint64]int{}
	var indexes []byte
	var streams [8][]byte
	n, rows := 0, t.sorted()
	every := len(rows)/sampleValues + 1
	for i, row := range rows {
		value, ok := number(t.series[t.of[row]].typ, t.bits[row])
		if !ok || i/sampleRun%every > 0 {
			continue
		}
		bits := math.Float64bits(value)
		plain = binary.LittleEndian.AppendUint64(plain, bits)
		for i := range streams {
			streams[i] = append(streams[i], byte(bits>>(8*i)))
		}
		if _, ok := distinct[bits]; !ok {
			distinct[bits] = len(distinct)
		}
		indexes = binary.LittleEndian.AppendUint16(indexes, uint16(distinct[bits]))
		if n++; n == sampleValues {
			break
		}
	}
	split = bytes.Join(streams[:], nil)
	sizes := [3]int{compressed(split), compressed(plain), compressed(indexes) + 8*len(distinct)}
	switch {
	case sizes[2] < sizes[0] && sizes[2] < sizes[1]:
		return &parquet.RLEDictionary
	case sizes[1] < sizes[0]:
		return &parquet.Plain
	}
	return &parquet.ByteStreamSplit
}

func compressed(data []byte) int {
	out, err := parquet.Zstd.Encode(nil, data)
	if err != nil {
		return len(data)
	}
	return len(out)
}
