package localfs

import (
	"strings"
)

// kind is what a name in the file system stands for.
type kind int

const (
	file   kind = iota // an object
	folder             // a segment with more segments behind it
	part               // the beginning of a segment that is too long
)

// maxPart is the greatest length of the escaped bytes in one name. With the
// mask and the marks a name stays below 143 bytes, the least that a file
// system in wide use allows (eCryptfs).
const maxPart = 100

const hexDigits = "0123456789abcdef"

// objectPath gives the path of the object's file within the store's folder.
func objectPath(key string) string {
	i := strings.LastIndexByte(key, '/') + 1
	return folderPath(key[:i]) + segmentPath(key[i:], file)
}

// folderPath gives the path of the folder for keys that begin with prefix,
// which is empty or ends in "/"; so does the path.
func folderPath(prefix string) string {
	var b strings.Builder
	for segment := range strings.SplitSeq(strings.TrimSuffix(prefix, "/"), "/") {
		if segment != "" {
			b.WriteString(segmentPath(segment, folder) + "/")
		}
	}
	return b.String()
}

// segmentPath gives the name of a segment, or the names joined by "/" when it
// is too long for one.
func segmentPath(segment string, k kind) string {
	var b strings.Builder
	for {
		n := partLen(segment)
		if n == len(segment) {
			break
		}
		b.WriteString(encodeName(segment[:n], part) + "/")
		segment = segment[n:]
	}
	b.WriteString(encodeName(segment, k))
	return b.String()
}

// partLen tells how many bytes of the segment go into its next name.
func partLen(segment string) int {
	size := 0
	for i := range len(segment) {
		size += 3
		if plain(segment[i]) {
			size -= 2
		}
		if size > maxPart {
			return i
		}
	}
	return len(segment)
}

// encodeName gives the name for raw, a segment or a part of one.
func encodeName(raw string, k kind) string {
	var text, mask strings.Builder
	last := len(raw) - 1
	letters, nibble, upper := 0, 0, 0 // upper is the mask's length without trailing zeros
	for i := range len(raw) {
		c := raw[i]
		edge := (i == 0 || i == last) && (c == '.' || c == ' ')
		if !plain(c) || edge || i == 0 && reserved(raw) {
			text.WriteString("%" + string(hexDigits[c>>4]) + string(hexDigits[c&15]))
			continue
		}
		text.WriteByte(c)
		if !letter(c) {
			continue
		}
		if c <= 'Z' {
			nibble |= 1 << (letters % 4)
			upper = letters/4 + 1
		}
		if letters++; letters%4 == 0 {
			mask.WriteByte(hexDigits[nibble])
			nibble = 0
		}
	}
	mask.WriteByte(hexDigits[nibble])
	name := text.String()
	dot := strings.Contains(name, ".")
	if upper > 0 {
		name += "%u" + mask.String()[:upper]
	}
	switch {
	case k == part:
		name += "%+"
	case dot == (k == folder):
		name += "%"
	}
	return name
}

// decodeName undoes encodeName. It is lenient: whoever reads names must check
// that what comes out is encoded to the same name.
func decodeName(name string) (raw string, isPart bool) {
	name, isPart = strings.CutSuffix(name, "%+")
	if !isPart {
		name = strings.TrimSuffix(name, "%")
	}
	mask := ""
	if i := strings.LastIndex(name, "%u"); i >= 0 {
		name, mask = name[:i], name[i+2:]
	}
	var b strings.Builder
	letters := 0
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c == '%' && i+2 < len(name):
			b.WriteByte(unhex(name[i+1])<<4 | unhex(name[i+2]))
			i += 2
		case letter(c):
			c |= 0x20
			if letters/4 < len(mask) && unhex(mask[letters/4])>>(letters%4)&1 == 1 {
				c &^= 0x20
			}
			letters++
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), isPart
}

func letter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// plain tells whether c needs no escape in the middle of a name. The tilde
// does, for Windows gives long names short ones like "PROGRA~1".
func plain(c byte) bool {
	return letter(c) || '0' <= c && c <= '9' || strings.IndexByte(" -_.+=,@#()[]{}!", c) >= 0
}

// reserved tells whether Windows takes a name for a device.
func reserved(name string) bool {
	stem, _, _ := strings.Cut(name, ".")
	stem = strings.ToLower(strings.TrimRight(stem, " "))
	switch stem {
	case "con", "prn", "aux", "nul":
		return true
	}
	return len(stem) == 4 && (stem[:3] == "com" || stem[:3] == "lpt") && '0' <= stem[3] && stem[3] <= '9'
}

func unhex(c byte) byte {
	return byte(max(strings.IndexByte(hexDigits, c), 0))
}
