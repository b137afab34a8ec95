// Package delimited reads text files of fields between separators (RFC 4180)
// into columns.
//
// A file is cut into blocks of about a megabyte that end where a record ends:
// whether a line break is within quotes follows from the number of quotes before
// it, which is counted many times faster than fields are read. So blocks are read
// on all cores, each in one pass that turns digits into numbers while it looks
// for the end of the field; and line breaks within quotes need no setting.
// Strings are not copied: they lie in the block.
package delimited
