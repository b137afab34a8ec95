package metrics

import (
	"fmt"
	"math"
	"strconv"

	"github.com/parquet-go/parquet-go"
)

// rows appends the rows of a span to the table.
func (r *tableReader) rows(g parquet.RowGroup, s span, t *table) error {
	start, n := t.rows(), int(s.to-s.from)
	for _, c := range []struct {
		column int
		dst    *[]int64
	}{{columnSeq, &t.seqs}, {columnStep, &t.steps}, {columnTime, &t.times}} {
		*c.dst = append(*c.dst, make([]int64, n)...)
		if err := r.numbers(g, c.column, s, (*c.dst)[start:]); err != nil {
			return err
		}
	}
	if err := r.writers(g, s, t); err != nil {
		return err
	}
	if err := r.series(g, s, t); err != nil {
		return err
	}
	t.bits = append(t.bits, make([]uint64, n)...)
	err := r.column(g, columnAfter, s, func(row int, v parquet.Value) error {
		if !v.IsNull() {
			t.after[start+row] = v.Int64()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.contents(g, s, t, start)
}

func (r *tableReader) writers(g parquet.RowGroup, s span, t *table) error {
	last, id := "", int32(-1)
	return r.column(g, columnWriter, s, func(_ int, v parquet.Value) error {
		if b := v.ByteArray(); id < 0 || string(b) != last {
			last = string(b)
			id = t.writerID(last)
		}
		t.by = append(t.by, id)
		return nil
	})
}

// series reads names, kinds and types.
func (r *tableReader) series(g parquet.RowGroup, s span, t *table) error {
	list := make([]*series, s.to-s.from)
	name := ""
	err := r.column(g, columnName, s, func(row int, v parquet.Value) error {
		if b := v.ByteArray(); row == 0 || string(b) != name {
			name = string(b)
		}
		if row > 0 && list[row-1].name == name {
			list[row] = list[row-1]
		} else {
			list[row] = &series{name: name}
		}
		return nil
	})
	if err != nil {
		return err
	}
	kinds, types := make([]kindCode, len(list)), make([]valueType, len(list))
	err = r.column(g, columnKind, s, func(row int, v parquet.Value) error {
		kinds[row] = Kind(v.ByteArray()).code()
		return nil
	})
	if err != nil {
		return err
	}
	err = r.column(g, columnType, s, func(row int, v parquet.Value) error {
		types[row] = typeOf(v.ByteArray())
		return nil
	})
	if err != nil {
		return err
	}
	var last series
	for row, s := range list {
		now := series{name: s.name, kind: kinds[row], typ: types[row]}
		if now.kind == 0 || now.typ == 0 {
			return fmt.Errorf("row %d is of no known kind and type", row)
		}
		if row > 0 && now == last {
			t.of = append(t.of, t.of[len(t.of)-1])
			continue
		}
		id, ok := t.idOf[now]
		if !ok {
			id = t.seriesID(&now)
		}
		t.of, last = append(t.of, id), now
	}
	return nil
}

func typeOf(name []byte) valueType {
	for t, n := range typeNames {
		if n != "" && n == string(name) {
			return valueType(t)
		}
	}
	return 0
}

// contents reads the values from the columns that have them by their types.
func (r *tableReader) contents(g parquet.RowGroup, s span, t *table, start int) error {
	typ := func(row int) valueType { return t.series[t.of[start+row]].typ }
	err := r.column(g, columnValue, s, func(row int, v parquet.Value) error {
		switch {
		case v.IsNull():
		case typ(row) == typeFloat:
			t.bits[start+row] = math.Float64bits(v.Double())
		case typ(row) == typeInt:
			t.bits[start+row] = uint64(int64(v.Double()))
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = r.column(g, columnText, s, func(row int, v parquet.Value) error {
		if v.IsNull() {
			return nil
		}
		return t.setText(start+row, typ(row), v.ByteArray())
	})
	if err != nil {
		return err
	}
	return r.column(g, columnExact, s, func(row int, v parquet.Value) error {
		if !v.IsNull() {
			t.setBlob(start+row, v.ByteArray())
		}
		return nil
	})
}

func (t *table) setText(row int, typ valueType, text []byte) error {
	switch typ {
	case typeInt:
		n, err := strconv.ParseInt(string(text), 10, 64)
		t.bits[row] = uint64(n)
		return err
	case typeBool:
		if string(text) == "true" {
			t.bits[row] = 1
		}
	case typeString:
		t.setBlob(row, text)
	}
	return nil
}

func (t *table) setBlob(row int, b []byte) {
	t.blobs[row] = append([]byte{}, b...)
	t.size += len(b)
}
