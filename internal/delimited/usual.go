package delimited

import (
	"encoding/binary"

	"github.com/azml-go/azml/internal/textvalue"
)

// text reads a text that is not empty, without quotes, up to the end of the field,
// which is next.
func (s *scanner) text(pos int) (value []byte, next int, ok bool) {
	if s.data[pos] == '"' {
		return nil, 0, false
	}
	next = s.stop(pos)
	end := next
	switch s.data[next] {
	case '"':
		return nil, 0, false
	case '\n':
		if end > pos && s.data[end-1] == '\r' {
			end--
		}
	}
	return s.data[pos:end:end], next, end > pos
}

// bool reads true or false up to the end of the field, which is next.
func (s *scanner) bool(pos int) (value bool, next int, ok bool) {
	const yes, no = "true", "false"
	rest := s.data[pos:]
	switch {
	case len(rest) > len(yes) && string(rest[:len(yes)]) == yes:
		next, ok = s.end(pos + len(yes))
		return true, next, ok
	case len(rest) > len(no) && string(rest[:len(no)]) == no:
		next, ok = s.end(pos + len(no))
		return false, next, ok
	}
	return false, 0, false
}

// day is the date that was read last: many rows have the one of the row before.
type day struct {
	digits  uint64 // "2006-01-", as eight bytes
	of      uint64 // the day of the month
	seconds int64  // since 1970, at its beginning
}

// The first and the last year in which all times are in range.
const firstYear, lastYear = 1678, 2261

// time reads a time such as "2006-01-02 15:04:05", also with a T, up to the end of
// the field, which is next: its nanoseconds since 1970. It compares and adds eight
// bytes at once, of which those that are no digits are made zeros.
func (s *scanner) time(pos int, last *day) (ns int64, next int, ok bool) {
	const length = len("2006-01-02 15:04:05")
	data := s.data
	if pos+length >= len(data) || data[pos+10]|0x20 != 't' && data[pos+10] != ' ' || data[pos+16] != ':' {
		return 0, 0, false
	}
	const date, clock = 0x2d30302d30303030, 0x30303a3030003030 // "0000-00-", and "00 00:00" without what stands between
	first := binary.LittleEndian.Uint64(data[pos:])
	a, b := first^date, binary.LittleEndian.Uint64(data[pos+8:])&^0xff0000^clock
	tens, units := data[pos+17]-'0', data[pos+18]-'0'
	const noDigit, seps = 0x7676767676767676, 0xff0000ff00000000
	if ((a+noDigit)|a|(b+noDigit)|b)&highs != 0 || a&seps != 0 || b&0xff0000000000 != 0 || tens > 5 || units > 9 {
		return 0, 0, false
	}
	a, b = a*10+a>>8, b*10+b>>8 // of two digits each, at the first of them
	of, hour, minute := b&0xff, b>>24&0xff, b>>48&0xff
	if hour > 23 || minute > 59 {
		return 0, 0, false
	}
	if last.digits != first || last.of != of {
		year := int64(a&0xff*100 + a>>16&0xff)
		days, there := textvalue.Days(year, int64(a>>40&0xff), int64(of))
		if !there || year < firstYear || year > lastYear {
			return 0, 0, false
		}
		*last = day{first, of, days * 86400}
	}
	next, ok = s.end(pos + length)
	return (last.seconds + int64(hour*3600+minute*60) + int64(tens*10+units)) * 1e9, next, ok
}
