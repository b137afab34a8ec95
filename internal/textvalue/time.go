package textvalue

import (
	"bytes"
	"math"
	"time"
)

// The range of times in nanoseconds since 1970.
const (
	minSeconds = math.MinInt64/int64(time.Second) + 1
	maxSeconds = math.MaxInt64/int64(time.Second) - 1
)

// InRange tells whether a time can be told in nanoseconds since 1970.
func InRange(t time.Time) bool { return t.Unix() >= minSeconds && t.Unix() <= maxSeconds }

// Time reads a point in time, in nanoseconds since 1970: by the layouts of package
// time, of which the first that fits counts, or, without any, in ISO 8601's forms:
// "2006-01-02", "2006-01-02 15:04", "2006-01-02T15:04:05.999999999+01:00". What
// names no zone is UTC. inRange is false for a time that is one but that is no
// 64-bit number.
func Time(text []byte, layouts []string) (ns int64, ok, inRange bool) {
	if len(layouts) == 0 {
		if ns, ok, inRange = isoTime(text); !ok {
			ns, ok, inRange = isoTime(bytes.TrimSpace(text))
		}
		return ns, ok, inRange
	}
	text = bytes.TrimSpace(text)
	for _, layout := range layouts {
		if t, err := time.Parse(layout, str(text)); err == nil {
			if !InRange(t) {
				return 0, true, false
			}
			return t.UnixNano(), true, true
		}
	}
	return 0, false, true
}

// isoTime reads ISO 8601, which time.Parse would need several layouts for.
func isoTime(b []byte) (ns int64, ok, inRange bool) {
	if len(b) < 10 || b[4] != '-' || b[7] != '-' {
		return 0, false, true
	}
	year, month, day := digits(b[:4]), digits(b[5:7]), digits(b[8:10])
	since, real := Days(year, month, day)
	if year < 0 || !real {
		return 0, false, true
	}
	seconds := since * 86400
	clock, nanos, ok := isoClock(b[10:])
	seconds += clock
	switch {
	case !ok:
		return 0, false, true
	case seconds < minSeconds || seconds > maxSeconds:
		return 0, true, false
	}
	return seconds*1e9 + nanos, true, true
}

// isoClock reads what stands behind a date: nothing, or a time of day and a zone.
func isoClock(b []byte) (seconds, nanos int64, ok bool) {
	if len(b) == 0 {
		return 0, 0, true
	}
	if len(b) < 6 || b[0] != 'T' && b[0] != ' ' && b[0] != 't' || b[3] != ':' {
		return 0, 0, false
	}
	hour, minute := digits(b[1:3]), digits(b[4:6])
	if hour < 0 || hour > 23 || minute < 0 || minute > 59 {
		return 0, 0, false
	}
	seconds = hour*3600 + minute*60
	if b = b[6:]; len(b) >= 3 && b[0] == ':' {
		second := digits(b[1:3])
		if second < 0 || second > 59 {
			return 0, 0, false
		}
		seconds += second
		if b = b[3:]; len(b) > 1 && (b[0] == '.' || b[0] == ',') {
			nanos, b = fraction(b[1:])
		}
	}
	offset, ok := isoZone(b)
	return seconds - offset, nanos, ok
}

// fraction reads digits behind a point as nanoseconds and passes over what is
// finer.
func fraction(b []byte) (nanos int64, rest []byte) {
	unit := int64(1e8)
	for len(b) > 0 && b[0]-'0' <= 9 {
		nanos += int64(b[0]-'0') * unit
		unit /= 10
		b = b[1:]
	}
	return nanos, b
}

// isoZone reads nothing, "Z", "+01", "+0100" or "+01:00".
func isoZone(b []byte) (offset int64, ok bool) {
	if len(b) > 0 && b[0] == ' ' {
		b = b[1:]
	}
	switch {
	case len(b) == 0, len(b) == 1 && b[0]|0x20 == 'z':
		return 0, true
	case len(b) < 3 || b[0] != '+' && b[0] != '-':
		return 0, false
	}
	hours, minutes := digits(b[1:3]), int64(0)
	switch rest := b[3:]; {
	case len(rest) == 3 && rest[0] == ':':
		minutes = digits(rest[1:])
	case len(rest) == 2:
		minutes = digits(rest)
	case len(rest) != 0:
		return 0, false
	}
	if hours < 0 || hours > 23 || minutes < 0 || minutes > 59 {
		return 0, false
	}
	offset = hours*3600 + minutes*60
	if b[0] == '-' {
		offset = -offset
	}
	return offset, true
}

// digits reads a few digits, -1 when there is anything else.
func digits(b []byte) int64 {
	n := int64(0)
	for _, c := range b {
		if c-'0' > 9 {
			return -1
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

func daysIn(year, month int64) int64 {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// days gives the days from 1970-01-01 in the Gregorian calendar: years begin in
// March, so that the leap day is the last of one.
func days(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := year
	if era < 0 {
		era -= 399
	}
	era /= 400
	inEra := year - era*400
	inYear := (153*(month-3)+2)/5 + day - 1
	return era*146097 + inEra*365 + inEra/4 - inEra/100 + inYear - 719468
}

// Days gives the days since 1970 of a date of the Gregorian calendar, unless there is
// no such date.
func Days(year, month, day int64) (since int64, ok bool) {
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, false
	}
	return days(year, month, day), true
}
