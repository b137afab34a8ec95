package gitignore

import "strings"

// byteSet is the meaning of "[…]": the bytes that it accepts.
type byteSet [4]uint64

func (s *byteSet) has(c byte) bool { return s[c>>6]&(1<<(c&63)) != 0 }
func (s *byteSet) add(c byte)      { s[c>>6] |= 1 << (c & 63) }

func (s *byteSet) addRange(low, high byte) {
	for c := int(low); c <= int(high); c++ {
		s.add(byte(c))
	}
}

func (s *byteSet) invert() {
	for i := range s {
		s[i] = ^s[i]
	}
}

// parseSet reads a set up to its "]" from the text behind its "[". It returns
// false when the set has no end or names a class that does not exist; git
// lets such a pattern match nothing.
func parseSet(text string) (set *byteSet, rest string, ok bool) {
	set = &byteSet{}
	inverted := text != "" && (text[0] == '!' || text[0] == '^')
	if inverted {
		text = text[1:]
	}
	// low is the byte that a "-" may make a range of, 0 when there is none.
	var low byte
	for first := true; ; first = false {
		if text == "" {
			return nil, "", false
		}
		c := text[0]
		if c == ']' && !first {
			break
		}
		if body, isClass := strings.CutPrefix(text, "[:"); isClass {
			end := strings.IndexByte(body, ']')
			if end < 0 {
				return nil, "", false
			}
			if end > 0 && body[end-1] == ':' {
				if !set.addClass(body[:end-1]) {
					return nil, "", false
				}
				low, text = 0, body[end+1:]
				continue
			}
		}
		isRange := c == '-' && low != 0 && len(text) > 1 && text[1] != ']'
		if isRange {
			text = text[1:]
		}
		if c, text, ok = cutMember(text); !ok {
			return nil, "", false
		}
		if isRange {
			set.addRange(low, c)
			low = 0
			continue
		}
		set.add(c)
		low = c
	}
	if inverted {
		set.invert()
	}
	return set, text[1:], true
}

// cutMember takes off one byte of a set, which a backslash may stand before.
func cutMember(text string) (c byte, rest string, ok bool) {
	text = strings.TrimPrefix(text, `\`)
	if text == "" {
		return 0, "", false
	}
	return text[0], text[1:], true
}

// addClass adds the members of a class such as "alpha". As in git they are
// ASCII only, and vertical tab and form feed are not spaces.
func (s *byteSet) addClass(name string) bool {
	ranges, ok := map[string]string{
		"alnum": "09AZaz", "alpha": "AZaz", "blank": "  \t\t", "cntrl": "\x00\x1f\x7f\x7f",
		"digit": "09", "graph": "!~", "lower": "az", "print": " ~", "punct": "!/:@[`{~",
		"space": "  \t\n\r\r", "upper": "AZ", "xdigit": "09AFaf",
	}[name]
	for i := 0; i < len(ranges); i += 2 {
		s.addRange(ranges[i], ranges[i+1])
	}
	return ok
}
