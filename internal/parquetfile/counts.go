package parquetfile

import (
	"encoding/binary"
	"errors"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/format"
)

// spareValues is how many more values than a page has may be encoded in it:
// writers fill up the last group.
const spareValues = 512

var errCount = errors.New("a page has more values than it says")

// checked gives the page after it has looked at what encodings say of themselves:
// a few bytes can stand for billions of values, for which the decoder makes room
// without looking at the number in the page's header. Of booleans in runs it makes
// plain ones, since parquet-go 0.32 takes a run of trues for one true in eight.
func (c *chunkReader) checked(h *format.PageHeader, body []byte) ([]byte, error) {
	var encoding *format.Encoding
	var values int32
	at := 0
	switch h.Type {
	case format.DataPage:
		v := &h.DataPageHeader.V
		encoding, values = &v.Encoding, v.NumValues
		for _, level := range []int{c.leaf.repetition, c.leaf.definition} {
			if level == 0 {
				continue
			}
			part, _, err := prefixed(body[at:])
			if err == nil {
				err = checkRuns(part, width(level), values)
			}
			if err != nil {
				return nil, err
			}
			at += 4 + len(part)
		}
	case format.DataPageV2:
		v := &h.DataPageHeaderV2.V
		encoding, values = &v.Encoding, v.NumValues
		middle := int(v.RepetitionLevelsByteLength)
		at = middle + int(v.DefinitionLevelsByteLength)
		if err := checkRuns(body[:middle], width(c.leaf.repetition), values); err != nil {
			return nil, err
		}
		if err := checkRuns(body[middle:at], width(c.leaf.definition), values); err != nil {
			return nil, err
		}
	default:
		return body, nil
	}
	if *encoding == format.RLE {
		*encoding = format.Plain
		return c.plain(body, at, values)
	}
	return body, c.checkValues(*encoding, body[at:], values)
}

// plain gives the page with the runs of booleans at that place as single ones.
func (c *chunkReader) plain(body []byte, at int, values int32) ([]byte, error) {
	part, _, err := prefixed(body[at:])
	if err != nil || c.leaf.kind != parquet.Boolean {
		return nil, errors.Join(errors.New("only booleans are in runs"), err)
	}
	if err := checkRuns(part, 1, values); err != nil {
		return nil, err
	}
	c.bits = append(c.bits[:0], body[:at]...)
	count := 0 // bits so far
	add := func(bit byte) {
		if count%8 == 0 {
			c.bits = append(c.bits, 0)
		}
		c.bits[len(c.bits)-1] |= bit << (count % 8)
		count++
	}
	for len(part) > 0 {
		head, n := binary.Uvarint(part)
		part = part[n:]
		if head&1 == 1 {
			for range min(head>>1, uint64(len(part))) {
				for i := range 8 {
					add(part[0] >> i & 1)
				}
				part = part[1:]
			}
		} else if len(part) > 0 {
			for range head >> 1 {
				add(part[0] & 1)
			}
			part = part[1:]
		}
	}
	return c.bits, nil
}

// checkValues looks at the values of a page.
func (c *chunkReader) checkValues(e format.Encoding, data []byte, values int32) error {
	if len(data) == 0 {
		return nil
	}
	switch e {
	case format.PlainDictionary, format.RLEDictionary:
		return checkRuns(data[1:], int(data[0]), values)
	case format.DeltaBinaryPacked, format.DeltaLengthByteArray:
		return checkDelta(data, values)
	case format.DeltaByteArray:
		if err := checkDelta(data, values); err != nil {
			return err
		}
		return c.checkPrefixes(data)
	}
	return nil
}

// checkPrefixes accounts for texts that begin like the ones before them, which
// take no bytes for that in the page.
func (c *chunkReader) checkPrefixes(data []byte) error {
	lengths, err := (&delta.BinaryPackedEncoding{}).DecodeInt32(nil, data)
	if err != nil {
		return err
	}
	sum := int64(0)
	for _, n := range lengths {
		sum += int64(max(0, n))
	}
	c.held += sum
	return c.budget.hold(sum)
}

// width gives the number of bits of a level.
func width(level int) (bits int) {
	for ; level > 0; level >>= 1 {
		bits++
	}
	return bits
}

// prefixed splits off the bytes whose length stands before them.
func prefixed(b []byte) (part, rest []byte, err error) {
	if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
		return nil, nil, errors.New("a page ends too early")
	}
	n := 4 + int(binary.LittleEndian.Uint32(b))
	return b[4:n], b[n:], nil
}

// checkRuns adds up the values of runs, of equal ones and of packed ones.
func checkRuns(b []byte, bits int, values int32) error {
	left := uint64(values) + spareValues //nolint:gosec // it is not negative
	for len(b) > 0 {
		head, n := binary.Uvarint(b)
		if n <= 0 {
			return errors.New("a run of values is damaged")
		}
		b = b[n:]
		count, bytes := head>>1, uint64(bits+7)/8 //nolint:gosec // bits are of a byte
		if head&1 == 1 {
			count, bytes = count*8, count*uint64(bits) //nolint:gosec // likewise
		}
		if head>>1 > left || count > left {
			return errCount
		}
		left -= count
		b = b[min(bytes, uint64(len(b))):]
	}
	return nil
}

// checkDelta reads the number of values that follows the sizes of blocks.
func checkDelta(b []byte, values int32) error {
	total := uint64(0)
	for range 3 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return errors.New("a block of values is damaged")
		}
		total, b = v, b[n:]
	}
	if total > uint64(values) { //nolint:gosec // it is not negative
		return errCount
	}
	return nil
}
