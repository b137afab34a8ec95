package delimited

import (
	"fmt"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/datafile"
)

// HeaderMode says which files begin with the names of the columns.
type HeaderMode string

// The modes of headers.
const (
	// HeaderSame is for files that all begin with the same names.
	HeaderSame HeaderMode = ""
	// HeaderNone is for files without names: columns are Column1, Column2 ….
	HeaderNone HeaderMode = "none"
	// HeaderFirst is for files of which only the first begins with names.
	HeaderFirst HeaderMode = "first"
	// HeaderCombine is for files that each begin with names of their own, not
	// always the same: a column is missing in the rows of files that lack it.
	HeaderCombine HeaderMode = "combine"
)

// Options say how files are to be read.
type Options struct {
	// Separator is one ASCII character, 0 for a comma.
	Separator byte
	// Header says which files have names of columns.
	Header HeaderMode
	// Encoding is one of datafile.Encodings, empty for UTF-8.
	Encoding string
	// EmptyAsString makes an empty field of a String an empty text; else it is
	// missing, as it always is for other types.
	EmptyAsString bool
	// Nulls are texts that mean that a value is missing, such as "NA".
	Nulls []string
	// NullOnError makes what doesn't fit its column's type a missing value, also
	// times out of range and fields that a short record lacks, instead of an error.
	NullOnError bool
	// Layouts are the forms of times by column, in package time's words; a column
	// without has ISO 8601.
	Layouts map[string][]string
	// Pool, when not nil, has memory for the batches. Who reads them gives it back.
	Pool *Pool
}

// Check says what is wrong with the options.
func (o *Options) Check() error {
	switch o.Header {
	case HeaderSame, HeaderNone, HeaderFirst, HeaderCombine:
	default:
		return fmt.Errorf("%w: header %q: use none, first, combine, or nothing for the same in all files", azml.ErrInvalid, o.Header)
	}
	if c := o.separator(); c >= 0x80 || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("\"\r\n.-+", c) >= 0 {
		return fmt.Errorf("%w: separator %q: use one ASCII character that is no quote, no line break and not part of numbers or words", azml.ErrInvalid, o.Separator)
	}
	return datafile.CheckEncoding(o.Encoding)
}

func (o *Options) separator() byte {
	if o.Separator == 0 {
		return ','
	}
	return o.Separator
}

// named tells whether the file of that number begins with names.
func (o *Options) named(file int) bool {
	return o.Header == HeaderSame || o.Header == HeaderCombine || o.Header == HeaderFirst && file == 0
}
