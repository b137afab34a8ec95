package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// inMemory is the greatest size of what is kept in memory while it is stored; a
// pack of chunks fits. Larger contents go through a file.
const inMemory = 32 << 20

// receive takes a request's body whole before any of it is stored. discard
// forgets it.
func receive(r *http.Request) (content backend.Content, discard func(), err error) {
	switch {
	case r.ContentLength < 0:
		return nil, nil, fmt.Errorf("%w: the request does not say its length", azml.ErrInvalid)
	case r.ContentLength <= inMemory:
		data := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, data); err != nil {
			return nil, nil, cutOff(err)
		}
		return bytes.NewReader(data), func() {}, nil
	}
	file, err := os.CreateTemp("", "azml-gateway-")
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
	}
	discard = func() {
		_ = file.Close()
		_ = os.Remove(file.Name()) // what is left is in a folder that is cleared
	}
	if _, err := io.CopyN(file, r.Body, r.ContentLength); err != nil {
		discard()
		return nil, nil, cutOff(err)
	}
	return io.NewSectionReader(file, 0, r.ContentLength), discard, nil
}

// cutOff is the error of a body that did not come whole, or found no room.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: the request was cut off: %w", azml.ErrUnavailable, err)
}
