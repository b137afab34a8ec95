package azureblob

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// The service's limits of a blob's name.
const (
	maxName     = 1024 // characters
	maxSegments = 254
)

// digits are the 64 characters that stand for a number, in their own order.
const digits = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"

// A name is made of a key byte by byte, but for the names of files (see
// [backend.FilesPrefix]), so that names sort as their keys do:
//
//	0x01 … "!"     "!" and a digit
//	"[" "\"        "[" and a digit
//	"~" 0x7f       "~" and a digit
//	other ASCII    as it is, but for a dot that ends a segment
//	any other      "~" and a digit for the first byte of the character,
//	               a digit for each that follows
//	dot before /   "..~~"
//	dot at the end ".!"
//
// Azure drops dots at the end of segments, takes "\" for "/", and does not say
// by what order it sorts characters outside ASCII.
const (
	lowest       = '!' // introduces what is not above it
	backslash    = '[' // introduces itself and what follows it
	highest      = '~' // introduces itself and all above
	dotBefore    = "..~~"
	dotAtEnd     = ".!"
	firstLead    = 0xC2 // the bytes that characters of several bytes begin with
	lastLead     = 0xF4
	leadsBehind  = 2 // digits behind highest that are "~" and 0x7f
	continuation = 0x80
)

const containerNames = "containers have names of 3 to 63 small letters, digits and single \"-\" between them"

// CheckContainer gives an error for what can't be the name of a container, by the
// service's rule; "$root", "$web" and "$logs" are its own. Errors: ErrInvalid.
func CheckContainer(name string) error {
	const shortest, longest = 3, 63
	letters := func(r rune) bool { return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' }
	fits := len(name) >= shortest && len(name) <= longest
	for part := range strings.SplitSeq(name, "-") {
		fits = fits && part != "" && strings.TrimFunc(part, letters) == ""
	}
	if fits || slices.Contains([]string{"$root", "$web", "$logs"}, name) {
		return nil
	}
	return fmt.Errorf("%w: %s", azml.ErrInvalid, containerNames)
}

// checkName gives an error when the name of a key's blob is too long.
func checkName(name, key string) error {
	length, segments := utf8.RuneCountInString(name), strings.Count(name, "/")+1
	if length > maxName || segments > maxSegments {
		return fmt.Errorf("%w: the key has %d characters in Azure's spelling and %d segments, of which it takes %d and %d: %.60q…",
			azml.ErrInvalid, length, segments, maxName, maxSegments, key)
	}
	return nil
}

// checkFile gives an error for the key of a file whose name would become another
// one in the service.
func checkFile(key string) error {
	if strings.Contains(key, `\`) || strings.Contains(key, "./") || strings.HasSuffix(key, ".") {
		return fmt.Errorf("%w: Azure takes \"\\\" for \"/\" in the names of files and drops dots at the end of a file's or a folder's name: rename %.200q", azml.ErrInvalid, key)
	}
	return nil
}

// spell gives the name of a whole key, or that with which the names begin of all
// keys that begin so.
func spell(key string, whole bool) string {
	var name strings.Builder
	name.Grow(len(key) + 8)
	for i := range len(key) {
		c := key[i]
		switch {
		case c == '.' && i+1 == len(key) && whole:
			name.WriteString(dotAtEnd)
		case c == '.' && i+1 < len(key) && key[i+1] == '/':
			name.WriteString(dotBefore)
		case c <= lowest:
			name.WriteByte(lowest)
			name.WriteByte(digits[c])
		case c == backslash || c == backslash+1:
			name.WriteByte(backslash)
			name.WriteByte(digits[c-backslash])
		case c < highest:
			name.WriteByte(c)
		case c < continuation:
			name.WriteByte(highest)
			name.WriteByte(digits[c-highest])
		case c < firstLead:
			name.WriteByte(digits[c&(1<<6-1)])
		default:
			name.WriteByte(highest)
			name.WriteByte(digits[leadsBehind+min(c, lastLead)-firstLead])
		}
	}
	return name.String()
}

// keyOf gives the key whose blob has the name; !ok when there is none.
func keyOf(name string) (key string, ok bool) {
	if plain(name) {
		return name, backend.ValidKey(name) == nil
	}
	read := []byte{}
	for rest := name; rest != ""; {
		var b []byte
		if b, rest = readOne(rest); b == nil {
			return "", false
		}
		read = append(read, b...)
	}
	key = string(read)
	trimmed := strings.TrimSuffix(key, "/") // a common prefix is none in itself
	return key, backend.ValidKey(trimmed) == nil && spell(key, true) == name
}

// plain tells whether a name is spelled as its key is.
func plain(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= lowest || r == backslash || r == backslash+1 || r >= highest
	}) && !strings.Contains(name, "./") && name[len(name)-1] != '.' && name[len(name)-1] != '/'
}

// readOne reads what stands for a character of a key, nil for what stands for
// none.
func readOne(name string) (b []byte, rest string) {
	switch {
	case strings.HasPrefix(name, dotBefore):
		return []byte{'.'}, name[len(dotBefore):]
	case name == dotAtEnd:
		return []byte{'.'}, ""
	case name[0] != lowest && name[0] != backslash && name[0] != highest:
		return []byte{name[0]}, name[1:]
	case len(name) < 2:
		return nil, ""
	}
	digit := strings.IndexByte(digits, name[1])
	switch first := name[0]; {
	case digit < 0:
		return nil, ""
	case first == lowest:
		return []byte{byte(digit)}, name[2:]
	case digit < leadsBehind:
		return []byte{first + byte(digit)}, name[2:]
	case first == backslash:
		return nil, ""
	}
	return readCharacter(byte(digit-leadsBehind)+firstLead, name[2:])
}

// readCharacter reads the bytes of a character that follow the first.
func readCharacter(lead byte, name string) (b []byte, rest string) {
	b = []byte{lead}
	for !utf8.FullRune(b) {
		if name == "" {
			return nil, ""
		}
		digit := strings.IndexByte(digits, name[0])
		if digit < 0 {
			return nil, ""
		}
		b, name = append(b, continuation+byte(digit)), name[1:]
	}
	return b, name
}
