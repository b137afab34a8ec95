package delimited

import (
	"bytes"
)

// block is some whole records of a file.
type block struct {
	data  []byte
	lines int // line breaks in it
}

func newBlock(data []byte) block { return block{data, bytes.Count(data, []byte{'\n'})} }

// recordEnd gives the end of the last whole record, 0 when there is none, of
// data that begins where a record begins: behind a line break with an even number
// of quotes before it.
func recordEnd(data []byte) int {
	quotes := bytes.Count(data, []byte{'"'})
	rest := data
	for {
		end := bytes.LastIndexByte(rest, '\n') + 1
		if end == 0 {
			return 0
		}
		if quotes -= bytes.Count(rest[end:], []byte{'"'}); quotes%2 == 0 {
			return end
		}
		rest = rest[:end-1]
	}
}
