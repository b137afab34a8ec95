package parquetfile

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The types of values in Thrift's compact protocol.
const (
	thriftStop, thriftTrue, thriftFalse, thriftByte     = 0, 1, 2, 3
	thriftI16, thriftI32, thriftI64, thriftDouble       = 4, 5, 6, 7
	thriftBinary, thriftList, thriftSet, thriftMap      = 8, 9, 10, 11
	thriftStruct, thriftUUID, maxThriftDepth, minStruct = 12, 13, 32, 4
)

// errShort says that the bytes end before the struct does.
var errShort = errors.New("it ends too early")

// structLength gives the length of the struct, in Thrift's compact protocol,
// that b begins with. The decoder makes room for as many elements and bytes as a
// few bytes say; after this all of them are really there, and structs in lists
// are of at least minStruct bytes on average. Errors: errShort.
func structLength(b []byte) (int, error) {
	w := thriftWalk{b: b}
	if err := w.fields(0); err != nil {
		return 0, err
	}
	if w.structs*minStruct > w.at {
		return 0, fmt.Errorf("%d structs in %d bytes", w.structs, w.at)
	}
	return w.at, nil
}

// thriftWalk goes through a struct.
type thriftWalk struct {
	b       []byte
	at      int
	structs int // in lists
}

func (w *thriftWalk) skip(n uint64) error {
	if n > uint64(len(w.b)-w.at) {
		return errShort
	}
	w.at += int(n) //nolint:gosec // not above the length of a slice
	return nil
}

func (w *thriftWalk) next() (byte, error) {
	if w.at >= len(w.b) {
		return 0, errShort
	}
	w.at++
	return w.b[w.at-1], nil
}

func (w *thriftWalk) varint() (uint64, error) {
	v, n := binary.Uvarint(w.b[w.at:])
	switch {
	case n == 0:
		return 0, errShort
	case n < 0:
		return 0, errors.New("a number is too long")
	}
	w.at += n
	return v, nil
}

// fields goes through the fields of a struct.
func (w *thriftWalk) fields(depth int) error {
	if depth > maxThriftDepth {
		return errors.New("structs are nested too deep")
	}
	for {
		head, err := w.next()
		if err != nil {
			return err
		}
		kind := head & 0xf
		if kind == thriftStop {
			return nil
		}
		if head>>4 == 0 { // the field's number follows
			if _, err := w.varint(); err != nil {
				return err
			}
		}
		if kind == thriftTrue || kind == thriftFalse {
			continue
		}
		if err := w.value(kind, depth); err != nil {
			return err
		}
	}
}

func (w *thriftWalk) value(kind byte, depth int) error {
	switch kind {
	case thriftTrue, thriftFalse, thriftByte:
		return w.skip(1)
	case thriftI16, thriftI32, thriftI64:
		_, err := w.varint()
		return err
	case thriftDouble:
		return w.skip(8)
	case thriftUUID:
		return w.skip(16)
	case thriftBinary:
		n, err := w.varint()
		if err != nil {
			return err
		}
		return w.skip(n)
	case thriftList, thriftSet:
		return w.list(depth)
	case thriftMap:
		return w.mapping(depth)
	case thriftStruct:
		return w.fields(depth + 1)
	}
	return fmt.Errorf("there is no type %d", kind)
}

func (w *thriftWalk) list(depth int) error {
	head, err := w.next()
	if err != nil {
		return err
	}
	n := uint64(head >> 4)
	if n == 0xf {
		if n, err = w.varint(); err != nil {
			return err
		}
	}
	return w.repeat(n, depth, head&0xf)
}

func (w *thriftWalk) mapping(depth int) error {
	n, err := w.varint()
	if err != nil || n == 0 {
		return err
	}
	kinds, err := w.next()
	if err != nil {
		return err
	}
	return w.repeat(n, depth, kinds>>4, kinds&0xf)
}

// repeat goes through n elements, each of values of the kinds.
func (w *thriftWalk) repeat(n uint64, depth int, kinds ...byte) error {
	if n > uint64(len(w.b)-w.at) { // each takes a byte at least
		return errShort
	}
	for range n {
		for _, kind := range kinds {
			if kind == thriftStruct {
				w.structs++
			}
			if err := w.value(kind, depth); err != nil {
				return err
			}
		}
	}
	return nil
}
