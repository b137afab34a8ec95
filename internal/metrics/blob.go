package metrics

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/azml-go/azml"
)

// encode checks the value of a point and gives its stored form. The second
// result is false when there is nothing to log (an empty list or table).
func encode(kind kindCode, value any) (raw, bool, error) {
	switch kind.kind() {
	case KindScalar:
		s, err := Scalar(value)
		if err != nil {
			return raw{}, false, err
		}
		return encodeScalar(s), true, nil
	case KindList:
		list, err := List(Elements(value))
		if err != nil || len(list) == 0 {
			return raw{}, false, err
		}
		return raw{typ: typeList, blob: appendList(nil, list)}, true, nil
	case KindTable:
		columns, ok := value.([]Column)
		if !ok {
			return raw{}, false, fmt.Errorf("%w: value of a table is a %T, want []metrics.Column", azml.ErrInvalid, value)
		}
		columns, err := Table(columns)
		if err != nil || len(columns) == 0 || len(columns[0].Values) == 0 {
			return raw{}, false, err
		}
		return raw{typ: typeTable, blob: appendTable(nil, columns)}, true, nil
	}
	path, ok := value.(string)
	if !ok || path == "" || !utf8.ValidString(path) {
		return raw{}, false, fmt.Errorf("%w: value of a metric of kind %s is %T %.60q, want the path of the run's file", azml.ErrInvalid, kind.kind(), value, value)
	}
	return raw{typ: typeString, blob: []byte(path)}, true, nil
}

// encodeScalar takes what Scalar gave.
func encodeScalar(s any) raw {
	switch s := s.(type) {
	case float64:
		return raw{typ: typeFloat, bits: math.Float64bits(s)}
	case int64:
		return raw{typ: typeInt, bits: uint64(s)}
	case bool:
		if s {
			return raw{typ: typeBool, bits: 1}
		}
		return raw{typ: typeBool}
	case string:
		return raw{typ: typeString, blob: []byte(s)}
	}
	return raw{typ: typeNil}
}

// appendList writes the count and then each element as its type and value.
func appendList(dst []byte, list []any) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for _, v := range list {
		r := encodeScalar(v)
		dst = append(dst, byte(r.typ))
		switch r.typ {
		case typeFloat:
			dst = binary.LittleEndian.AppendUint64(dst, r.bits)
		case typeInt:
			dst = binary.AppendVarint(dst, int64(r.bits))
		case typeBool:
			dst = append(dst, byte(r.bits))
		case typeString:
			dst = appendBytes(dst, r.blob)
		}
	}
	return dst
}

// appendTable writes the count of columns and then each as its name and list.
func appendTable(dst []byte, columns []Column) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(columns)))
	for _, c := range columns {
		dst = appendBytes(dst, []byte(c.Name))
		dst = appendList(dst, c.Values)
	}
	return dst
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

var errShort = errors.New("bytes end too early or hold an impossible number")

func decodeValue(r raw) (any, error) {
	switch r.typ {
	case typeFloat:
		return math.Float64frombits(r.bits), nil
	case typeInt:
		return int64(r.bits), nil
	case typeBool:
		return r.bits != 0, nil
	case typeString:
		return string(r.blob), nil
	case typeList:
		p := &parser{b: r.blob}
		list := p.list()
		return list, p.end()
	case typeTable:
		p := &parser{b: r.blob}
		table := p.table()
		return table, p.end()
	}
	return nil, nil
}

// parser takes bytes apart. After the first bad one it gives zeros, and end
// tells.
type parser struct {
	b   []byte
	bad bool
}

// end tells whether all bytes were good and used.
func (p *parser) end() error {
	if p.bad {
		return errShort
	}
	if len(p.b) > 0 {
		return fmt.Errorf("%d bytes left over", len(p.b))
	}
	return nil
}

func (p *parser) take(n uint64) []byte {
	if p.bad || n > uint64(len(p.b)) {
		p.bad = true
		return nil
	}
	b := p.b[:n]
	p.b = p.b[n:]
	return b
}

func (p *parser) byte() byte {
	if b := p.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (p *parser) uint32() uint32 {
	if b := p.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (p *parser) uint64() uint64 {
	if b := p.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.b)
	if p.bad || n <= 0 {
		p.bad = true
		return 0
	}
	p.b = p.b[n:]
	return v
}

func (p *parser) varint() int64 {
	v := p.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

func (p *parser) bytes() []byte { return p.take(p.uvarint()) }

// count reads a number of things that take at least a byte each, so that a bad
// one can't ask for more memory than its own bytes justify.
func (p *parser) count() int {
	n := p.uvarint()
	if n > uint64(len(p.b)) {
		p.bad = true
		return 0
	}
	return int(n)
}

func (p *parser) list() []any {
	out := make([]any, 0, p.count())
	for range cap(out) {
		r := raw{typ: valueType(p.byte())}
		switch r.typ {
		case typeFloat:
			r.bits = p.uint64()
		case typeInt:
			r.bits = uint64(p.varint())
		case typeBool:
			r.bits = uint64(p.byte())
		case typeString:
			r.blob = p.bytes()
		case typeNil:
		default:
			p.bad = true
		}
		if p.bad {
			return nil
		}
		v, _ := decodeValue(r)
		out = append(out, v)
	}
	return out
}

func (p *parser) table() []Column {
	out := make([]Column, 0, p.count())
	for range cap(out) {
		c := Column{Name: string(p.bytes()), Values: p.list()}
		if p.bad || len(out) > 0 && len(c.Values) != len(out[0].Values) {
			p.bad = true
			return nil
		}
		out = append(out, c)
	}
	return out
}
