package datafile

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
	"golang.org/x/text/transform"

	"github.com/azml-go/azml"
)

// Encodings lists the names of encodings that Text takes. The first is that of
// the empty name. The slice is the caller's own.
func Encodings() []string {
	return []string{"utf8", "utf8bom", "utf16", "utf32", "latin1", "iso88591", "ascii", "windows1252"}
}

// CheckEncoding gives an ErrInvalid that names those there are when name is none.
func CheckEncoding(name string) error {
	_, err := decoder(nil, name)
	return err
}

// decoder gives what r has in UTF-8. A byte order mark is taken away; UTF-16 and
// UTF-32 without one are little-endian. What is no character comes out as U+FFFD
// for UTF-16 and UTF-32; UTF-8 and ASCII are handed on as they are, and judged by
// who reads them.
func decoder(r io.Reader, name string) (io.Reader, error) {
	var from encoding.Encoding
	switch name {
	case "", "utf8", "utf8bom", "ascii":
		return withoutMark(r), nil
	case "utf16":
		from = unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	case "utf32":
		from = utf32.UTF32(utf32.LittleEndian, utf32.UseBOM)
	case "latin1", "iso88591":
		from = charmap.ISO8859_1
	case "windows1252":
		from = charmap.Windows1252
	default:
		return nil, fmt.Errorf("%w: encoding %q: use one of %s", azml.ErrInvalid, name, strings.Join(Encodings(), ", "))
	}
	return transform.NewReader(r, from.NewDecoder()), nil
}

// withoutMark passes over the byte order mark of UTF-8.
func withoutMark(r io.Reader) io.Reader {
	if r == nil {
		return nil
	}
	const mark = "\uFEFF"
	b := bufio.NewReaderSize(r, 4096) // reads past it go straight to r
	if head, err := b.Peek(len(mark)); err == nil && string(head) == mark {
		_, _ = b.Discard(len(mark)) // they were just peeked at
	}
	return b
}
