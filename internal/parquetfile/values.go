package parquetfile

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding"

	"github.com/azml-go/azml/internal/textvalue"
	"github.com/azml-go/azml/tabular"
)

// errRange is for times that no int64 of nanoseconds holds.
var errRange = errors.New("a time before 1678 or after 2262")

// decode puts values from on into n rows of the column, which are not missing.
// Rows of times out of range are marked as missing, and errRange told.
func (l leaf) decode(values encoding.Values, kind parquet.Kind, from, n int, c *tabular.Column, row int) error {
	switch kind {
	case parquet.Boolean:
		bits := values.Boolean()
		for i := range n {
			c.Bools[row+i] = bits[(from+i)/8]>>((from+i)%8)&1 != 0
		}
	case parquet.Int32:
		return l.narrow(values.Int32()[from:from+n], c, row)
	case parquet.Int64:
		return l.wide(values.Int64()[from:from+n], c, row)
	case parquet.Int96:
		return l.old(values.Int96()[from:from+n], c, row)
	case parquet.Float:
		for i, v := range values.Float()[from : from+n] {
			c.Floats[row+i] = float64(v)
		}
	case parquet.Double:
		copy(c.Floats[row:row+n], values.Double()[from:from+n])
	case parquet.ByteArray:
		data, ends := values.ByteArray()
		l.texts(data, ends[from:from+n+1], c, row)
	case parquet.FixedLenByteArray:
		data, size := values.FixedLenByteArray()
		l.fixed(data[from*size:(from+n)*size], size, n, c, row)
	default:
		return fmt.Errorf("values of kind %s can't be read", kind)
	}
	return nil
}

func (l leaf) narrow(values []int32, c *tabular.Column, row int) error {
	switch {
	case l.typ == tabular.Int && l.unsigned:
		for i, v := range values {
			c.Ints[row+i] = int64(uint32(v)) //nolint:gosec // they are stored so
		}
		return nil
	case l.typ == tabular.Int:
		for i, v := range values {
			c.Ints[row+i] = int64(v)
		}
		return nil
	}
	wide := make([]int64, len(values))
	for i, v := range values {
		wide[i] = int64(v)
	}
	return l.wide(wide, c, row)
}

func (l leaf) wide(values []int64, c *tabular.Column, row int) (err error) {
	switch {
	case l.typ == tabular.Int:
		copy(c.Ints[row:], values)
	case l.typ == tabular.Time:
		limit := math.MaxInt64 / l.unit
		for i, v := range values {
			if v > limit || v < -limit {
				c.SetNull(row + i)
				err = errRange
				continue
			}
			c.Ints[row+i] = v * l.unit
		}
	default:
		for i, v := range values {
			c.Texts[row+i] = l.text(v)
		}
	}
	return err
}

// text gives a number that is none of Go's.
func (l leaf) text(v int64) string {
	switch {
	case l.clock:
		return time.Unix(0, v*l.unit).UTC().Format("15:04:05.999999999")
	case l.unsigned:
		return strconv.FormatUint(uint64(v), 10) //nolint:gosec // it is stored so
	}
	return pointed(strconv.FormatInt(v, 10), l.scale)
}

// pointed puts the decimal point before the last scale digits.
func pointed(digits string, scale int) string {
	if scale <= 0 || scale > 10_000 {
		return digits
	}
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	if missing := scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	return sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}

// old reads the timestamps of Impala and of early Spark: nanoseconds of a Julian
// day.
func (l leaf) old(values []deprecated.Int96, c *tabular.Column, row int) (err error) {
	const epoch = 2440588 // 1970-01-01
	for i, v := range values {
		t := time.Unix((int64(v[2])-epoch)*86400, 0).Add(time.Duration(uint64(v[1])<<32 | uint64(v[0]))) //nolint:gosec // they are stored so
		if !textvalue.InRange(t) {
			c.SetNull(row + i)
			err = errRange
			continue
		}
		c.Ints[row+i] = t.UnixNano()
	}
	return err
}

// texts copies the texts once, all together.
func (l leaf) texts(data []byte, ends []uint32, c *tabular.Column, row int) {
	begin := ends[0]
	all := string(data[begin:ends[len(ends)-1]])
	for i := range len(ends) - 1 {
		text := all[ends[i]-begin : ends[i+1]-begin]
		if l.typ == tabular.Decimal {
			text = l.decimal([]byte(text))
		}
		c.Texts[row+i] = text
	}
}

func (l leaf) fixed(data []byte, size, n int, c *tabular.Column, row int) {
	for i := range n {
		b := data[i*size : (i+1)*size]
		switch {
		case l.half:
			c.Floats[row+i] = half(b)
		case l.uuid && size == 16:
			x := hex.EncodeToString(b)
			c.Texts[row+i] = x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
		case l.typ == tabular.Decimal:
			c.Texts[row+i] = l.decimal(b)
		default:
			c.Texts[row+i] = string(b)
		}
	}
}

// decimal reads a number of any length in two's complement, the greatest byte
// first.
func (l leaf) decimal(b []byte) string {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(b))*8)) //nolint:gosec // a length
	}
	return pointed(n.String(), l.scale)
}

// half reads a float of 16 bits.
func half(b []byte) float64 {
	bits := uint(b[0]) | uint(b[1])<<8
	exponent, fraction := int(bits>>10&31), float64(bits&1023)
	var v float64
	switch exponent {
	case 0:
		v = math.Ldexp(fraction, -24)
	case 31:
		if v = math.Inf(1); fraction != 0 {
			v = math.NaN()
		}
	default:
		v = math.Ldexp(1024+fraction, exponent-25)
	}
	if bits>>15 != 0 {
		return -v
	}
	return v
}
