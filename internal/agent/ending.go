package agent

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// ending is the last that was read of a file: a file without it was written anew. It is
// empty when nothing was read.
type ending []byte

// maxEnding is how many bytes it has at most.
const maxEnding = 64

// endingOf gives that of a file of which so much was read.
func endingOf(path string, size int64) (ending, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	e := make(ending, min(size, maxEnding))
	_, err = file.ReadAt(e, size-int64(len(e)))
	return e, err
}

// Write implements io.Writer and never fails.
func (e *ending) Write(p []byte) (int, error) {
	*e = append(*e, p[max(0, len(p)-maxEnding):]...)
	*e = (*e)[max(0, len(*e)-maxEnding):]
	return len(p), nil
}

// stands tells whether the file has it before the offset.
func (e ending) stands(file io.ReaderAt, offset int64) (bool, error) {
	there := make([]byte, len(e))
	_, err := file.ReadAt(there, offset-int64(len(e)))
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	return bytes.Equal(there, e), err
}
