package delimited

import (
	"bytes"
)

// The faults of a record.
const (
	faultBare   = `a quote within a field that does not begin with one: put the field between quotes and double those in it`
	faultBehind = `a character behind the quote that closes a field: double a quote that belongs to it`
	faultOpen   = `the quote that opens a field is not closed`
)

// field is the text of a field.
type field struct {
	text   []byte
	next   int // the place of the separator or line break behind it
	quoted bool
}

// field reads the field at pos. What is in quotes is unquoted in its place: each
// field is read once.
func (s *scanner) field(pos int) (f field, fault string) {
	if s.data[pos] == '"' {
		return s.quoted(pos)
	}
	end := s.stop(pos)
	switch {
	case s.data[end] == '"':
		return field{next: end}, faultBare
	case s.data[end] == '\n' && end > pos && s.data[end-1] == '\r':
		return field{text: s.data[pos : end-1 : end-1], next: end}, ""
	}
	return field{text: s.data[pos:end:end], next: end}, ""
}

func (s *scanner) quoted(pos int) (f field, fault string) {
	pos++
	begin, to := pos, -1 // to is where text is moved to behind a doubled quote
	for {
		n := bytes.IndexByte(s.data[pos:], '"')
		if n < 0 {
			return field{next: begin}, faultOpen
		}
		if to >= 0 {
			to += copy(s.data[to:], s.data[pos:pos+n])
		}
		if pos += n + 1; pos >= len(s.data) || s.data[pos] != '"' {
			break
		}
		if to < 0 {
			to = pos - 1
		}
		s.data[to] = '"'
		to++
		pos++
	}
	end := pos - 1
	if to >= 0 {
		end = to
	}
	f = field{text: s.data[begin:end:end], next: pos, quoted: true}
	switch {
	case pos >= len(s.data):
		return f, faultOpen
	case s.data[pos] == '\r' && s.data[pos+1] == '\n':
		f.next++
	case s.data[pos] != s.sep && s.data[pos] != '\n':
		return f, faultBehind
	}
	return f, ""
}

// blank gives the place behind the empty lines at pos.
func (s *scanner) blank(pos int) int {
	for pos < len(s.data) {
		switch {
		case s.data[pos] == '\n':
			pos++
		case s.data[pos] == '\r' && s.data[pos+1] == '\n':
			pos += 2
		default:
			return pos
		}
	}
	return pos
}

// record reads all fields of the record at pos as copies, and gives the place
// behind it.
func (s *scanner) record(pos int) (fields []string, next int, fault string) {
	for {
		f, fault := s.field(pos)
		if fault != "" {
			return nil, f.next, fault
		}
		fields = append(fields, string(f.text))
		pos = f.next + 1
		if s.data[f.next] == '\n' {
			return fields, pos, ""
		}
	}
}
